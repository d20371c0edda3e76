"""What the cluster's answers become, and how its token is made."""

import base64
from types import SimpleNamespace
from typing import Any

import boto3
import httpx2
import pytest
from lightkube.core.exceptions import ApiError, ConfigError
from turnout_components.cluster_access import by_eks, by_kubeconfig, eks_token
from turnout_components.cluster_api import Changed, ClusterError, LightkubeApi, Unreachable


def refusal(code: int, message: str = "no") -> ApiError:
    return ApiError(status=SimpleNamespace(code=code, message=message))


class Client:
    """Answers with what is scripted, in order."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def get(self, res: Any, name: str, **_: Any) -> Any:  # noqa: ARG002
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    patch = create = get

    def log(self, name: str, **asked: Any) -> Any:
        return self.get(None, name, **asked)


def api(*answers: Any) -> LightkubeApi:
    client = Client(*answers)
    return LightkubeApi(lambda: client)


def test_what_is_not_there_is_none_and_other_answers_are_errors_with_the_place():
    assert api(refusal(404)).get("Pod", "shop", "p") is None
    for code, kind in ((409, Changed), (403, ClusterError), (500, ClusterError)):
        with pytest.raises(kind, match="Pod/shop/p"):
            api(refusal(code)).get("Pod", "shop", "p")


@pytest.mark.parametrize("error", [httpx2.ConnectError("refused"), httpx2.ReadTimeout("late"), ConnectionResetError("reset")])
def test_no_answer_is_told_apart_from_a_refusal(error):
    with pytest.raises(Unreachable, match="does not answer"):
        api(error).get("Pod", "shop", "p")


def test_a_failed_test_of_a_json_patch_is_a_change_and_another_invalid_body_is_not():
    rejected = "the server rejected our request due to an error in our request"
    with pytest.raises(Changed):
        api(refusal(422, rejected)).get("Pod", "shop", "p")
    with pytest.raises(ClusterError) as raised:
        api(refusal(422, "spec.replicas: Invalid value")).get("Pod", "shop", "p")
    assert not isinstance(raised.value, Changed)


def test_a_token_that_has_run_out_is_made_anew_once():
    clients = [Client(refusal(401)), Client({"metadata": {"name": "p"}}), Client(refusal(401))]
    assert LightkubeApi(lambda: clients.pop(0)).get("Pod", "shop", "p") == {"metadata": {"name": "p"}}
    with pytest.raises(ClusterError, match="401"):
        LightkubeApi(lambda: Client(refusal(401))).get("Pod", "shop", "p")


def test_a_kubeconfig_that_cannot_be_used_is_told():
    with pytest.raises(ClusterError, match="kubeconfig cannot be used: .* not found"):
        by_kubeconfig(kubeconfig="/nowhere/config").get("Pod", "shop", "p")

    def fails() -> Any:
        raise ConfigError("Context 'x' not found")

    with pytest.raises(ClusterError, match="Context 'x' not found"):
        LightkubeApi(fails).get("Pod", "shop", "p")


def test_an_eks_token_is_a_signed_question_that_names_the_cluster():
    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret"}
    token = eks_token(boto3.client("sts", region_name="eu-west-1", **keys), "models")
    kind, _, body = token.partition(".")
    assert kind == "k8s-aws-v1"
    url = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
    assert url.startswith("https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity")
    assert "X-Amz-Expires=60" in url
    assert "X-Amz-SignedHeaders=host%3Bx-k8s-aws-id" in url
    assert "=" not in body
    assert eks_token(boto3.client("sts", region_name="eu-west-1", **keys), "other") != token


def test_an_eks_cluster_that_is_not_active_is_not_asked():
    answers = {"eks": SimpleNamespace(describe_cluster=lambda **_: {"cluster": {"status": "CREATING"}})}
    with pytest.raises(ClusterError, match="models is CREATING"):
        by_eks(answers.__getitem__, "models").get("Pod", "shop", "p")


def test_a_pods_log_is_its_lines_and_nothing_of_a_pod_that_is_gone():
    assert api(iter(["a", "b"])).log("shop", "p", "server", 60) == ["a", "b"]
    assert api(refusal(404)).log("shop", "p", "server", 60) == []
    with pytest.raises(ClusterError, match="PodLog/shop/p"):
        api(refusal(500)).log("shop", "p", "server", 60)
