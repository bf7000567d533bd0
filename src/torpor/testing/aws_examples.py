"""Parameters that lead on, for operations whose rules are more than their model says: half of the requests have these.

A text that begins with `@` is filled in from what earlier answers held: `@{ApiId}`, by the names of members.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any


def _archive(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), code)
    return buffer.getvalue()


ECHO = _archive("def handler(event, context):\n    return event\n")
BLOBS = (ECHO, _archive("def handler(event, context):\n    yield b'a'\n"), b"", b"{}", b"\0\xff", ECHO[:-1])
_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
_FUNCTION = {"FunctionName": "spam"}
_VERSION = {"FunctionName": "spam", "Qualifier": "@{Version}"}
_FUNCTION_ARN = {"Resource": "arn:aws:lambda:us-east-1:000000000000:function:spam"}
_LAYER = {"LayerName": "spam", "VersionNumber": "@{Version}"}
_ROLE = {"RoleName": "spam"}
_API = {"ApiId": "@{ApiId}"}
_API_ARN = {"ResourceArn": "@arn:aws:apigateway:us-east-1::/apis/{ApiId}"}
_SECRET = {"SecretId": "spam"}
_GROUP = {"logGroupName": "/aws/lambda/spam"}
_GROUP_ARN = {"resourceArn": "@{logGroupArn}"}
_TAGS = [{"Key": "a", "Value": "b"}]

EXAMPLES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("lambda", "CreateFunction"): {
        "FunctionName": "spam",
        "Code": {"ZipFile": ECHO},
        "Runtime": "python3.11",
        "Handler": "app.handler",
        "Role": "arn:aws:iam::000000000000:role/spam",
        "PackageType": "Zip",
    },
    ("lambda", "UpdateFunctionCode"): _FUNCTION | {"ZipFile": ECHO},
    ("lambda", "PublishLayerVersion"): {"LayerName": "spam", "Content": {"ZipFile": ECHO}},
    ("lambda", "GetLayerVersion"): _LAYER,
    ("lambda", "DeleteLayerVersion"): _LAYER,
    ("lambda", "GetLayerVersionPolicy"): _LAYER,
    ("lambda", "GetLayerVersionByArn"): {"Arn": "@{LayerVersionArn}"},
    ("lambda", "AddLayerVersionPermission"): _LAYER
    | {"StatementId": "a", "Action": "lambda:GetLayerVersion", "Principal": "*"},
    ("lambda", "RemoveLayerVersionPermission"): _LAYER | {"StatementId": "a"},
    ("lambda", "AddPermission"): _FUNCTION
    | {"StatementId": "a", "Action": "lambda:InvokeFunction", "Principal": "000000000000"},
    ("lambda", "RemovePermission"): _FUNCTION | {"StatementId": "a"},
    ("lambda", "CreateAlias"): _FUNCTION | {"Name": "live", "FunctionVersion": "$LATEST"},
    ("lambda", "UpdateAlias"): _FUNCTION | {"Name": "live", "FunctionVersion": "1"},
    ("lambda", "GetAlias"): _FUNCTION | {"Name": "live"},
    ("lambda", "CreateFunctionUrlConfig"): _FUNCTION | {"AuthType": "NONE"},
    ("lambda", "PutFunctionConcurrency"): _FUNCTION | {"ReservedConcurrentExecutions": 2},
    ("lambda", "ListProvisionedConcurrencyConfigs"): _FUNCTION,
    ("lambda", "GetProvisionedConcurrencyConfig"): _VERSION,
    ("lambda", "DeleteProvisionedConcurrencyConfig"): _VERSION,
    ("lambda", "PutProvisionedConcurrencyConfig"): _VERSION | {"ProvisionedConcurrentExecutions": 1},
    ("lambda", "PutFunctionEventInvokeConfig"): _FUNCTION | {"MaximumRetryAttempts": 1},
    ("lambda", "UpdateFunctionEventInvokeConfig"): _FUNCTION | {"MaximumRetryAttempts": 0},
    ("lambda", "Invoke"): _FUNCTION | {"Payload": b"{}"},
    ("lambda", "InvokeWithResponseStream"): _FUNCTION | {"Payload": b"{}"},
    ("lambda", "ListTags"): _FUNCTION_ARN,
    ("lambda", "TagResource"): _FUNCTION_ARN | {"Tags": {"a": "b"}},
    ("lambda", "UntagResource"): _FUNCTION_ARN | {"TagKeys": ["a"]},
    **{
        ("lambda", name): _FUNCTION
        for name in (
            *("DeleteFunctionConcurrency", "DeleteFunctionEventInvokeConfig", "DeleteFunctionUrlConfig", "GetFunction"),
            *("GetFunctionConcurrency", "GetFunctionConfiguration", "GetFunctionEventInvokeConfig", "ListAliases"),
            *("GetFunctionUrlConfig", "GetPolicy", "ListFunctionEventInvokeConfigs", "ListFunctionUrlConfigs"),
            *("ListVersionsByFunction", "PublishVersion", "UpdateFunctionConfiguration", "UpdateFunctionUrlConfig"),
        )
    },
    ("iam", "CreateRole"): {"RoleName": "spam", "AssumeRolePolicyDocument": _POLICY},
    ("iam", "UpdateAssumeRolePolicy"): _ROLE | {"PolicyDocument": _POLICY},
    ("iam", "PutRolePolicy"): _ROLE | {"PolicyName": "a", "PolicyDocument": _POLICY},
    ("iam", "GetRolePolicy"): _ROLE | {"PolicyName": "a"},
    ("iam", "DeleteRolePolicy"): _ROLE | {"PolicyName": "a"},
    ("iam", "AttachRolePolicy"): _ROLE | {"PolicyArn": "arn:aws:iam::aws:policy/Any"},
    ("iam", "DetachRolePolicy"): _ROLE | {"PolicyArn": "arn:aws:iam::aws:policy/Any"},
    ("iam", "TagRole"): _ROLE | {"Tags": _TAGS},
    ("iam", "UntagRole"): _ROLE | {"TagKeys": ["a"]},
    ("sts", "AssumeRole"): {"RoleArn": "@{RoleArn}", "RoleSessionName": "spam"},
    ("apigatewayv2", "CreateApi"): {"Name": "spam", "ProtocolType": "HTTP"},
    ("apigatewayv2", "UpdateApi"): _API | {"CorsConfiguration": {"AllowOrigins": ["*"]}},
    ("apigatewayv2", "CreateIntegration"): _API
    | {"IntegrationType": "AWS_PROXY", "IntegrationUri": "@{FunctionArn}", "PayloadFormatVersion": "2.0"},
    ("apigatewayv2", "UpdateIntegration"): _API | {"IntegrationId": "@{IntegrationId}", "TimeoutInMillis": 900},
    ("apigatewayv2", "CreateRoute"): _API | {"RouteKey": "GET /a/{b+}", "Target": "@integrations/{IntegrationId}"},
    ("apigatewayv2", "UpdateRoute"): _API | {"RouteId": "@{RouteId}", "RouteKey": "$default"},
    ("apigatewayv2", "CreateStage"): _API | {"StageName": "live", "AutoDeploy": True},
    ("apigatewayv2", "UpdateStage"): _API
    | {"StageName": "live", "RouteSettings": {"GET /a/{b+}": {"ThrottlingBurstLimit": 5}}},
    ("apigatewayv2", "GetStage"): _API | {"StageName": "live"},
    ("apigatewayv2", "DeleteStage"): _API | {"StageName": "live"},
    ("apigatewayv2", "DeleteRouteSettings"): _API | {"StageName": "live", "RouteKey": "GET /a/{b+}"},
    ("apigatewayv2", "CreateDeployment"): _API,
    ("apigatewayv2", "GetTags"): _API_ARN,
    ("apigatewayv2", "TagResource"): _API_ARN | {"Tags": {"a": "b"}},
    ("apigatewayv2", "UntagResource"): _API_ARN | {"TagKeys": ["a"]},
    ("secretsmanager", "CreateSecret"): {"Name": "spam", "SecretString": "s"},
    ("secretsmanager", "PutSecretValue"): _SECRET | {"SecretString": "t"},
    ("secretsmanager", "UpdateSecret"): _SECRET | {"SecretString": "u"},
    ("secretsmanager", "TagResource"): _SECRET | {"Tags": _TAGS},
    ("secretsmanager", "UntagResource"): _SECRET | {"TagKeys": ["a"]},
    **{
        ("secretsmanager", name): _SECRET
        for name in ("DescribeSecret", "GetSecretValue", "ListSecretVersionIds", "DeleteSecret", "RestoreSecret")
    },
    ("ssm", "PutParameter"): {"Name": "/a/b", "Value": "v", "Type": "SecureString", "Overwrite": True},
    ("ssm", "GetParameter"): {"Name": "/a/b"},
    ("ssm", "GetParameters"): {"Names": ["/a/b", "/a/c"]},
    ("ssm", "GetParametersByPath"): {"Path": "/a"},
    ("ssm", "DeleteParameter"): {"Name": "/a/b"},
    ("ssm", "DeleteParameters"): {"Names": ["/a/b"]},
    ("logs", "CreateLogGroup"): {"logGroupName": "/aws/lambda/spam"},
    ("logs", "PutRetentionPolicy"): _GROUP | {"retentionInDays": 7},
    ("logs", "DescribeLogStreams"): _GROUP,
    ("logs", "FilterLogEvents"): _GROUP | {"filterPattern": "START -nothing"},
    ("logs", "GetLogEvents"): _GROUP | {"logStreamName": "@{logStreamName}"},
    ("logs", "TagResource"): _GROUP_ARN | {"tags": {"a": "b"}},
    ("logs", "UntagResource"): _GROUP_ARN | {"tagKeys": ["a"]},
    ("logs", "ListTagsForResource"): _GROUP_ARN,
}
