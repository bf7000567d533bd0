"""What there is of AWS's types here: what is applied, what waits for a later version, and what says nothing here."""

from __future__ import annotations

from collections.abc import Mapping

SERVERLESS = "AWS::Serverless::"
SERVERLESS_TYPES = frozenset(f"{SERVERLESS}{name}" for name in ("Function", "Api", "HttpApi", "LayerVersion"))
# Events that become routes. All other kinds wait until there is something that sends them.
ROUTES = frozenset({"Api", "HttpApi"})

FUNCTION, VERSION, ALIAS = "AWS::Lambda::Function", "AWS::Lambda::Version", "AWS::Lambda::Alias"
LAYER, URL, PERMISSION = "AWS::Lambda::LayerVersion", "AWS::Lambda::Url", "AWS::Lambda::Permission"
EVENT_INVOKE, ROLE, LOG_GROUP = "AWS::Lambda::EventInvokeConfig", "AWS::IAM::Role", "AWS::Logs::LogGroup"
HTTP_API, REST_API = "AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi"
STAGE, REST_STAGE = "AWS::ApiGatewayV2::Stage", "AWS::ApiGateway::Stage"
ROUTE, INTEGRATION = "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Integration"

# Stages of APIs here serve what their API has, so a deployment has nothing to do.
DONE_BY_OTHERS = frozenset({"AWS::ApiGateway::Deployment", "AWS::ApiGatewayV2::Deployment", "AWS::ApiGateway::Account"})
# Kept with the stack, so that a version that has them can make them.
WAITING_TYPES = frozenset(
    {
        "AWS::Events::EventBus",
        "AWS::Events::Rule",
        "AWS::Lambda::EventSourceMapping",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
        "AWS::Scheduler::Schedule",
    }
)

_FUNCTION_PROPERTIES = frozenset(
    {
        *("FunctionName", "Code", "Handler", "Runtime", "MemorySize", "Timeout", "EphemeralStorage", "Environment"),
        *("Role", "Description", "Tags", "Layers", "LoggingConfig", "DeadLetterConfig"),
        *("ReservedConcurrentExecutions", "PackageType", "SnapStart"),
    }
)
# The properties of each applied type that have a meaning here. What else a template says is told, with its line.
APPLIED: Mapping[str, frozenset[str]] = {
    FUNCTION: _FUNCTION_PROPERTIES,
    VERSION: frozenset({"FunctionName", "Description", "CodeSha256"}),
    ALIAS: frozenset(
        {"FunctionName", "FunctionVersion", "Name", "Description", "RoutingConfig", "ProvisionedConcurrencyConfig"}
    ),
    LAYER: frozenset(
        {"Content", "LayerName", "Description", "LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures"}
    ),
    URL: frozenset({"TargetFunctionArn", "Qualifier", "AuthType", "Cors", "InvokeMode"}),
    PERMISSION: frozenset(
        {
            *("Action", "FunctionName", "Principal", "SourceArn", "SourceAccount", "EventSourceToken"),
            *("PrincipalOrgID", "FunctionUrlAuthType", "InvokedViaFunctionUrl"),
        }
    ),
    EVENT_INVOKE: frozenset(
        {"FunctionName", "Qualifier", "MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"}
    ),
    ROLE: frozenset(
        {
            *("RoleName", "Path", "AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Tags"),
            *("ManagedPolicyArns", "Policies"),
        }
    ),
    LOG_GROUP: frozenset({"LogGroupName", "RetentionInDays", "Tags"}),
    HTTP_API: frozenset(
        {"Body", "Name", "Description", "ProtocolType", "CorsConfiguration", "DisableExecuteApiEndpoint", "Tags"}
    ),
    REST_API: frozenset({"Body", "Name", "Description", "DisableExecuteApiEndpoint", "Tags", "EndpointConfiguration"}),
    STAGE: frozenset(
        {
            *("ApiId", "StageName", "AutoDeploy", "Description", "StageVariables", "DefaultRouteSettings"),
            *("RouteSettings", "Tags", "DeploymentId"),
        }
    ),
    REST_STAGE: frozenset({"RestApiId", "StageName", "Description", "Variables", "DeploymentId", "Tags"}),
    ROUTE: frozenset({"ApiId", "RouteKey", "Target", "AuthorizationType", "OperationName"}),
    INTEGRATION: frozenset(
        {
            *("ApiId", "IntegrationType", "IntegrationUri", "IntegrationMethod", "PayloadFormatVersion"),
            *("TimeoutInMillis", "Description"),
        }
    ),
}
# Why what is commonly written has no effect here.
WHY = {
    "VpcConfig": "there are no VPCs: what a function may connect to is its reach (tag torpor:reach)",
    "TracingConfig": "traces are not sent to X-Ray",
    "Tracing": "traces are not sent to X-Ray",
    "TracingEnabled": "traces are not sent to X-Ray",
    "KmsKeyArn": "variables are sealed with the server's own key",
    "AccessLogSettings": "access logs of APIs are not built",
    "AccessLogSetting": "access logs of APIs are not built",
    "DeploymentPreference": "the alias moves at once; shift traffic with the alias's RoutingConfig",
    "Architectures": "functions run on the server's own processor",
    "PermissionsBoundary": "roles grant nothing here",
    "MethodSettings": "throttles of single methods are set on an HTTP API's RouteSettings",
}

# What GetAtt gives of each applied type.
ATTRIBUTES: Mapping[str, frozenset[str]] = {
    FUNCTION: frozenset({"Arn"}),
    VERSION: frozenset({"FunctionArn", "Version"}),
    ALIAS: frozenset({"AliasArn"}),
    LAYER: frozenset({"LayerVersionArn"}),
    URL: frozenset({"FunctionArn", "FunctionUrl"}),
    PERMISSION: frozenset({"Id"}),
    EVENT_INVOKE: frozenset(),
    ROLE: frozenset({"Arn", "RoleId"}),
    LOG_GROUP: frozenset({"Arn"}),
    HTTP_API: frozenset({"ApiEndpoint", "ApiId"}),
    REST_API: frozenset({"ApiEndpoint", "RestApiId"}),
    STAGE: frozenset(),
    REST_STAGE: frozenset(),
    ROUTE: frozenset({"RouteId"}),
    INTEGRATION: frozenset({"IntegrationId"}),
}
# Of each applied type, the properties that cannot change: a change makes a new one, and removes the old one after it.
FIXED: Mapping[str, frozenset[str]] = {
    FUNCTION: frozenset({"FunctionName"}),
    VERSION: APPLIED[VERSION],
    ALIAS: frozenset({"FunctionName", "Name"}),
    LAYER: APPLIED[LAYER],
    URL: frozenset({"TargetFunctionArn", "Qualifier"}),
    PERMISSION: frozenset({"FunctionName"}),
    EVENT_INVOKE: frozenset({"FunctionName", "Qualifier"}),
    ROLE: frozenset({"RoleName", "Path"}),
    LOG_GROUP: frozenset({"LogGroupName"}),
    HTTP_API: frozenset({"ProtocolType"}),
    REST_API: frozenset(),
    STAGE: frozenset({"ApiId", "StageName"}),
    REST_STAGE: frozenset({"RestApiId", "StageName"}),
    ROUTE: frozenset({"ApiId"}),
    INTEGRATION: frozenset({"ApiId"}),
}
