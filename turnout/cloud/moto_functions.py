"""Extends moto's Lambda: a function has one configuration of its asynchronous invocations, and new code its architecture."""

from typing import Any

from moto.awslambda.models import EventInvokeConfig, LambdaBackend, LambdaFunction


def extend_functions() -> None:
    """PutFunctionEventInvokeConfig (AWS Lambda API Reference): "If a configuration already exists …, this operation overwrites
    it". moto 5.2.5 keeps the first one. The local cloud runs no function, whoever invokes it."""

    def put(self: LambdaBackend, function_name: str, config: dict[str, Any]) -> dict[str, Any]:
        function = self.get_function(function_name)
        function.event_invoke_config = [EventInvokeConfig(function.function_arn, function.last_modified, config)]
        return function.event_invoke_config[0].response()

    LambdaBackend.put_function_event_invoke_config = put  # type: ignore[method-assign]
    update = LambdaFunction.update_function_code

    def update_function_code(self: LambdaFunction, updated_spec: dict[str, Any]) -> dict[str, Any]:
        """ "UpdateFunctionCode": Architectures says what the new code is for; moto passes it by."""
        if updated_spec.get("Architectures"):
            self.architectures = updated_spec["Architectures"]
        answer: dict[str, Any] = update(self, updated_spec)
        return answer

    LambdaFunction.update_function_code = update_function_code  # type: ignore[method-assign]
