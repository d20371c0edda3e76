"""Inputs of which AWS describes nothing: they say how something is made, changed or deleted."""

from typing import Any

_DELETE = "how a delete goes"
_POLICY = "how a policy is put"
_CODE = "where the code comes from: GetFunction tells its sum, codeSha256"

UNSEEN: dict[tuple[str, str], str] = {
    ("aws:autoscaling/group:Group", "forceDelete"): _DELETE,
    ("aws:autoscaling/group:Group", "forceDeleteWarmPool"): _DELETE,
    ("aws:autoscaling/group:Group", "ignoreFailedScalingActivities"): "how the provider waits for capacity",
    ("aws:autoscaling/group:Group", "initialLifecycleHooks"): "made with the group; resourceGroupUpdate passes them by",
    ("aws:autoscaling/group:Group", "waitForCapacityTimeout"): "how long the provider waits for capacity",
    ("aws:autoscaling/lifecycleHook:LifecycleHook", "autoscalingGroupName"): "another group gets a hook of its own",
    ("aws:ec2/launchTemplate:LaunchTemplate", "updateDefaultVersion"): "whether a new version becomes the default",
    ("aws:ec2/securityGroup:SecurityGroup", "revokeRulesOnDelete"): _DELETE,
    ("aws:ecr/repository:Repository", "forceDelete"): _DELETE,
    ("aws:eks/addon:Addon", "preserve"): _DELETE,
    ("aws:eks/addon:Addon", "resolveConflictsOnCreate"): "how an add-on is put over what is there",
    ("aws:eks/addon:Addon", "resolveConflictsOnUpdate"): "how an add-on is put over what is there",
    ("aws:eks/cluster:Cluster", "bootstrapSelfManagedAddons"): "how a cluster is made",
    ("aws:eks/cluster:Cluster", "forceUpdateVersion"): "how a version is updated",
    ("aws:eks/nodeGroup:NodeGroup", "forceUpdateVersion"): "how a version is updated",
    ("aws:iam/role:Role", "forceDetachPolicies"): _DELETE,
    ("aws:kms/key:Key", "bypassPolicyLockoutSafetyCheck"): _POLICY,
    ("aws:kms/key:Key", "deletionWindowInDays"): _DELETE,
    ("aws:kms/keyPolicy:KeyPolicy", "bypassPolicyLockoutSafetyCheck"): _POLICY,
    ("aws:lambda/function:Function", "s3Bucket"): _CODE,
    ("aws:lambda/function:Function", "s3Key"): _CODE,
    ("aws:lambda/function:Function", "s3ObjectVersion"): _CODE,
    ("aws:lb/loadBalancer:LoadBalancer", "ipAddressType"): "ipv4 alone is taken here, which is AWS's own choice",
    ("aws:route53/record:Record", "allowOverwrite"): "how a record is made",
    ("aws:s3/bucket:Bucket", "forceDestroy"): _DELETE,
    ("aws:secretsmanager/secret:Secret", "recoveryWindowInDays"): _DELETE,
    ("aws:secretsmanager/secretPolicy:SecretPolicy", "blockPublicPolicy"): _POLICY,
    ("aws:secretsmanager/secretRotation:SecretRotation", "rotateImmediately"): "how a rotation is begun",
    ("aws:secretsmanager/secretVersion:SecretVersion", "secretStringWo"): "write-only: neither state nor output has it",
    ("aws:secretsmanager/secretVersion:SecretVersion", "secretStringWoVersion"): "counts what was written; AWS knows it not",
}

ANOTHER: dict[str, Any] = {
    "deletionWindowInDays": 9,
    "initialLifecycleHooks": None,
    "recoveryWindowInDays": 8,
    "resolveConflictsOnCreate": "NONE",
    "resolveConflictsOnUpdate": "PRESERVE",
    "waitForCapacityTimeout": "10m",
}
"""A value of it that no case has; True where nothing is said."""

WITH_ANOTHER: dict[str, str] = {
    "autoscalingGroupName": "test_auto_scaling.py: a hook is put to the other group",
    "bootstrapSelfManagedAddons": "replaces",
    "ipAddressType": "check refuses every other",
    "s3Bucket": "a change of the code, which codeSha256 tells",
    "s3Key": "a change of the code, which codeSha256 tells",
    "s3ObjectVersion": "a change of the code, which codeSha256 tells",
    "secretStringWo": "test_secrets.py: written with another secretStringWoVersion only",
    "secretStringWoVersion": "replaces",
    "updateDefaultVersion": "the template's own updates",
}
"""Of these the change alone is not tried here, and why."""
