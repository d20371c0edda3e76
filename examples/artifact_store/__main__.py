"""A store for one service's models and images, composed of a single component.

It is a stack of its own: a release is uploaded and verified before the service's stack deploys it, and outlives that stack.
"""

import pulumi
from turnout_components.artifact_store import ArtifactStore

service = pulumi.Config().require("service")
store = ArtifactStore(service, {"service": service})
pulumi.export("bucket", store.bucket_name)
pulumi.export("repository", store.repository_url)
