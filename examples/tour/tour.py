"""A walk through every AWS operation that torpor answers, with boto3, unchanged.

Run it with `torpor run -- python tour.py`. Each operation that succeeds is printed as it is called, each waiter once it
has waited, each paginator with its number of pages. Everything that is made is deleted again; if the tour breaks off,
what is left begins with the name on the first line.
"""

import io
import json
import sys
import time
import uuid
import zipfile

import boto3
from botocore.config import Config

NAME = f"tour-{uuid.uuid4().hex[:6]}"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
CODE = """
import os

def handler(event, context):
    print("said", event)
    return {"version": context.function_version, "place": "one", "level": os.environ.get("LEVEL")}

def telling(event, context):
    for word in ("once", "upon", "a", "time"):
        yield word.encode()
"""
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
READ = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]})
QUEUE = "arn:aws:sqs:us-east-1:000000000000:letters"

session = boto3.Session()


def client(service, **config):
    # Live tails have a host name of their own at AWS; here there is one.
    return session.client(service, config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}, **config))


def tell(model, http_response, **_):
    if http_response.status_code < 300:
        print(f"{model.service_model.service_name} {model.name}", flush=True)


def wait(of, waiter, **params):
    of.get_waiter(waiter).wait(**params, WaiterConfig={"Delay": 0.2, "MaxAttempts": 600})
    print(f"waiter {of.meta.service_model.service_name} {waiter}", flush=True)


def pages(of, operation, **params):
    """All pages of a list, as short as they can be."""
    found = list(of.get_paginator(operation).paginate(**params, PaginationConfig={"PageSize": 1}))
    print(f"paginator {of.meta.service_model.service_name} {operation} {len(found)}", flush=True)
    return found


def until(condition, within_s=60.0):
    """What the condition gives once it gives something."""
    ends = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > ends:
            raise TimeoutError(f"not within {within_s} s")
        time.sleep(0.1)
    return value


def archive(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return buffer.getvalue()


def identity(iam, sts):
    """Roles, which scripts begin with; who one is, and credentials for a while."""
    print("account", sts.get_caller_identity()["Account"])
    for name in (NAME, f"{NAME}-b"):
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, Path=f"/{NAME}/")["Role"]
    wait(iam, "role_exists", RoleName=NAME)
    pages(iam, "list_roles", PathPrefix=f"/{NAME}/")
    iam.update_assume_role_policy(RoleName=NAME, PolicyDocument=TRUST)
    iam.tag_role(RoleName=NAME, Tags=[{"Key": "team", "Value": "x"}])
    iam.untag_role(RoleName=NAME, TagKeys=["team"])
    attached = [f"arn:aws:iam::aws:policy/{one}" for one in ("Reading", "Writing")]
    for one in attached:
        iam.attach_role_policy(RoleName=NAME, PolicyArn=one)
        iam.put_role_policy(RoleName=NAME, PolicyName=one.rpartition("/")[2], PolicyDocument=READ)
    pages(iam, "list_attached_role_policies", RoleName=NAME)
    pages(iam, "list_role_policies", RoleName=NAME)
    assert iam.get_role_policy(RoleName=NAME, PolicyName="Reading")["PolicyDocument"] == json.loads(READ)
    sts.get_session_token()
    sts.assume_role(RoleArn=role["Arn"], RoleSessionName="tour")
    for one in attached:
        iam.detach_role_policy(RoleName=NAME, PolicyArn=one)
        iam.delete_role_policy(RoleName=NAME, PolicyName=one.rpartition("/")[2])
    for name in (NAME, f"{NAME}-b"):
        iam.delete_role(RoleName=name)
    return role["Arn"]


def secrets(manager):
    """A secret's values, versions and stages; deleted for a while, and for good."""
    tags = [{"Key": "team", "Value": "x"}]
    for name in (NAME, f"{NAME}-b"):
        manager.create_secret(Name=name, SecretString="first", Tags=tags)
    manager.put_secret_value(SecretId=NAME, SecretString="second")
    assert manager.get_secret_value(SecretId=NAME, VersionStage="AWSPREVIOUS")["SecretString"] == "first"
    manager.update_secret(SecretId=NAME, Description="of the tour")
    manager.tag_resource(SecretId=NAME, Tags=[{"Key": "stage", "Value": "test"}])
    manager.untag_resource(SecretId=NAME, TagKeys=["stage"])
    assert manager.describe_secret(SecretId=NAME)["Tags"] == tags
    assert len(manager.list_secret_version_ids(SecretId=NAME)["Versions"]) == 2
    pages(manager, "list_secrets", Filters=[{"Key": "name", "Values": [NAME]}])
    manager.delete_secret(SecretId=NAME)
    manager.restore_secret(SecretId=NAME)
    for name in (NAME, f"{NAME}-b"):
        manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def parameters(ssm):
    """The same store by Systems Manager's interface."""
    names = [f"/{NAME}/{leaf}" for leaf in "abc"]
    for name in names:
        ssm.put_parameter(Name=name, Value="v", Type="SecureString")
    assert ssm.get_parameter(Name=names[0], WithDecryption=True)["Parameter"]["Value"] == "v"
    assert len(ssm.get_parameters(Names=names)["Parameters"]) == 3
    pages(ssm, "get_parameters_by_path", Path=f"/{NAME}")
    pages(
        ssm, "describe_parameters", ParameterFilters=[{"Key": "Name", "Option": "BeginsWith", "Values": [f"/{NAME}"]}]
    )
    ssm.delete_parameter(Name=names[0])
    assert ssm.delete_parameters(Names=names)["DeletedParameters"] == names[1:]


def layers(functions):
    """Two versions of a layer, and who may use one."""
    content = {"ZipFile": archive({"python/shared.py": "VALUE = 1\n"})}
    versions = [functions.publish_layer_version(LayerName=NAME, Content=content) for _ in range(2)]
    other = functions.publish_layer_version(LayerName=f"{NAME}-b", Content=content)
    pages(functions, "list_layers")
    pages(functions, "list_layer_versions", LayerName=NAME)
    which = {"LayerName": NAME, "VersionNumber": versions[0]["Version"]}
    functions.get_layer_version(**which)
    functions.get_layer_version_by_arn(Arn=versions[1]["LayerVersionArn"])
    functions.add_layer_version_permission(**which, StatementId="all", Action="lambda:GetLayerVersion", Principal="*")
    functions.get_layer_version_policy(**which)
    functions.remove_layer_version_permission(**which, StatementId="all")
    functions.delete_layer_version(**which)
    functions.delete_layer_version(LayerName=f"{NAME}-b", VersionNumber=other["Version"])
    return versions[1]


def function(functions, role, layer):
    """Created, waited for, called, updated, published twice."""
    functions.create_function(
        FunctionName=NAME, Runtime=RUNTIME, Handler="app.handler", Role=role,
        Code={"ZipFile": archive({"app.py": CODE})}, Layers=[layer["LayerVersionArn"]], Timeout=10, MemorySize=256,
    )  # fmt: skip
    for waiter in ("function_exists", "function_active", "function_active_v2"):
        wait(functions, waiter, FunctionName=NAME)
    said = json.loads(functions.invoke(FunctionName=NAME, Payload=b'{"a": 1}')["Payload"].read())
    assert said["version"] == "$LATEST"
    publish(functions)
    functions.update_function_code(FunctionName=NAME, ZipFile=archive({"app.py": CODE.replace("one", "two")}))
    wait(functions, "function_updated", FunctionName=NAME)
    functions.update_function_configuration(FunctionName=NAME, Environment={"Variables": {"LEVEL": "2"}}, Layers=[])
    wait(functions, "function_updated_v2", FunctionName=NAME)
    functions.create_function(
        FunctionName=f"{NAME}-b", Runtime=RUNTIME, Handler="app.telling", Role=role,
        Code={"ZipFile": archive({"app.py": CODE})},
    )  # fmt: skip
    wait(functions, "function_active_v2", FunctionName=f"{NAME}-b")
    publish(functions)
    pages(functions, "list_functions")
    pages(functions, "list_versions_by_function", FunctionName=NAME)
    stream = functions.invoke_with_response_stream(FunctionName=f"{NAME}-b")["EventStream"]
    words = b"".join(event["PayloadChunk"]["Payload"] for event in stream if "PayloadChunk" in event)
    assert words == b"onceuponatime"
    functions.get_account_settings()
    return functions.get_function(FunctionName=NAME)["Configuration"]["FunctionArn"]


def publish(functions):
    version = functions.publish_version(FunctionName=NAME)["Version"]
    wait(functions, "published_version_active", FunctionName=NAME, Qualifier=version)


def aliases(functions):
    """One moves from a version to the other, by halves first; both versions answer."""
    functions.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    functions.create_alias(FunctionName=NAME, Name="next", FunctionVersion="2")
    half = {"AdditionalVersionWeights": {"2": 0.5}}
    functions.update_alias(FunctionName=NAME, Name="live", FunctionVersion="1", RoutingConfig=half)
    assert functions.get_alias(FunctionName=NAME, Name="live")["RoutingConfig"] == half
    pages(functions, "list_aliases", FunctionName=NAME)
    for version in "12":
        answer = functions.invoke(FunctionName=NAME, Qualifier=version)
        assert json.loads(answer["Payload"].read())["version"] == version


def concurrency(functions):
    """How many at once: at most so many, and so many kept ready."""
    functions.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=5)
    assert functions.get_function_concurrency(FunctionName=NAME)["ReservedConcurrentExecutions"] == 5
    for version in "12":
        functions.put_provisioned_concurrency_config(
            FunctionName=NAME, Qualifier=version, ProvisionedConcurrentExecutions=1
        )
    told = functions.get_provisioned_concurrency_config
    until(lambda: told(FunctionName=NAME, Qualifier="1")["Status"] == "READY")
    pages(functions, "list_provisioned_concurrency_configs", FunctionName=NAME)
    for version in "12":
        functions.delete_provisioned_concurrency_config(FunctionName=NAME, Qualifier=version)
    functions.delete_function_concurrency(FunctionName=NAME)


def settings(functions, arn):
    """What hangs on a function: tags, a policy, what becomes of events, addresses."""
    functions.tag_resource(Resource=arn, Tags={"team": "x", "stage": "test"})
    functions.untag_resource(Resource=arn, TagKeys=["stage"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"team": "x"}
    functions.add_permission(
        FunctionName=NAME, StatementId="web", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    functions.get_policy(FunctionName=NAME)
    functions.remove_permission(FunctionName=NAME, StatementId="web")
    for which in ({}, {"Qualifier": "live"}):
        functions.put_function_event_invoke_config(FunctionName=NAME, MaximumRetryAttempts=1, **which)
        functions.create_function_url_config(FunctionName=NAME, AuthType="AWS_IAM", **which)
    functions.update_function_event_invoke_config(
        FunctionName=NAME, DestinationConfig={"OnFailure": {"Destination": QUEUE}}
    )
    functions.get_function_event_invoke_config(FunctionName=NAME)
    pages(functions, "list_function_event_invoke_configs", FunctionName=NAME)
    functions.update_function_url_config(FunctionName=NAME, Cors={"AllowOrigins": ["*"]})
    functions.get_function_url_config(FunctionName=NAME)
    pages(functions, "list_function_url_configs", FunctionName=NAME)
    for which in ({}, {"Qualifier": "live"}):
        functions.delete_function_event_invoke_config(FunctionName=NAME, **which)
        functions.delete_function_url_config(FunctionName=NAME, **which)


def http_api(apis, arn):
    """An API with two integrations, routes, stages and deployments."""
    made = apis.create_api(Name=NAME, ProtocolType="HTTP")
    other = apis.create_api(Name=f"{NAME}-b", ProtocolType="HTTP")
    pages(apis, "get_apis")
    of = {"ApiId": made["ApiId"]}
    resource = f"arn:aws:apigateway:us-east-1::/apis/{made['ApiId']}"
    apis.update_api(**of, CorsConfiguration={"AllowOrigins": ["https://site.example"]})
    assert apis.get_api(**of)["CorsConfiguration"]["AllowOrigins"] == ["https://site.example"]
    apis.delete_cors_configuration(**of)
    apis.tag_resource(ResourceArn=resource, Tags={"team": "x", "stage": "test"})
    apis.untag_resource(ResourceArn=resource, TagKeys=["stage"])
    assert apis.get_tags(ResourceArn=resource)["Tags"] == {"team": "x"}
    leads = {"IntegrationType": "AWS_PROXY", "IntegrationUri": arn, "PayloadFormatVersion": "2.0"}
    integrations = [apis.create_integration(**of, **leads)["IntegrationId"] for _ in range(2)]
    apis.update_integration(**of, IntegrationId=integrations[0], TimeoutInMillis=5000)
    apis.get_integration(**of, IntegrationId=integrations[0])
    pages(apis, "get_integrations", **of)
    keys = ("GET /notes", "ANY /files/{path+}")
    routes = [
        apis.create_route(**of, RouteKey=key, Target=f"integrations/{integrations[0]}")["RouteId"] for key in keys
    ]
    apis.update_route(**of, RouteId=routes[1], Target=f"integrations/{integrations[1]}")
    apis.get_route(**of, RouteId=routes[0])
    pages(apis, "get_routes", **of)
    deployments = [apis.create_deployment(**of)["DeploymentId"] for _ in range(2)]
    apis.update_deployment(**of, DeploymentId=deployments[1], Description="of the tour")
    apis.get_deployment(**of, DeploymentId=deployments[1])
    pages(apis, "get_deployments", **of)
    for stage in ("test", "live"):
        apis.create_stage(**of, StageName=stage, DeploymentId=deployments[1])
    slow = {keys[0]: {"ThrottlingBurstLimit": 5, "ThrottlingRateLimit": 10.0}}
    apis.update_stage(**of, StageName="live", RouteSettings=slow)
    assert list(apis.get_stage(**of, StageName="live")["RouteSettings"]) == [keys[0]]
    pages(apis, "get_stages", **of)
    apis.delete_route_settings(**of, StageName="live", RouteKey=keys[0])
    apis.delete_stage(**of, StageName="live")
    apis.delete_deployment(**of, DeploymentId=deployments[0])
    for route in routes:
        apis.delete_route(**of, RouteId=route)
    for integration in integrations:
        apis.delete_integration(**of, IntegrationId=integration)
    for one in (made, other):
        apis.delete_api(ApiId=one["ApiId"])


def logs_of_it(logs):
    """What the function said, found in its own group; a group of one's own; a tail."""
    group = f"/aws/lambda/{NAME}"
    for name in (f"/{NAME}/a", f"/{NAME}/b"):
        logs.create_log_group(logGroupName=name)
    pages(logs, "describe_log_groups", logGroupNamePrefix=f"/{NAME}/")
    said = pages(logs, "filter_log_events", logGroupName=group, filterPattern="said")
    events = [event for page in said for event in page["events"]]
    streams = pages(logs, "describe_log_streams", logGroupName=group)
    assert events[0]["logStreamName"] in [one["logStreamName"] for page in streams for one in page["logStreams"]]
    logs.get_log_events(logGroupName=group, logStreamName=events[0]["logStreamName"], startFromHead=True)
    arn = logs.describe_log_groups(logGroupNamePrefix=f"/{NAME}/a")["logGroups"][0]["logGroupArn"]
    logs.put_retention_policy(logGroupName=f"/{NAME}/a", retentionInDays=7)
    logs.delete_retention_policy(logGroupName=f"/{NAME}/a")
    logs.tag_resource(resourceArn=arn, tags={"team": "x", "stage": "test"})
    logs.untag_resource(resourceArn=arn, tagKeys=["stage"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "x"}
    tail = logs.start_live_tail(logGroupIdentifiers=[arn])["responseStream"]
    assert "sessionStart" in next(iter(tail))
    tail.close()
    for name in (f"/{NAME}/a", f"/{NAME}/b"):
        logs.delete_log_group(logGroupName=name)


def goodbye(functions, layer):
    for name in ("live", "next"):
        functions.delete_alias(FunctionName=NAME, Name=name)
    for name in (NAME, f"{NAME}-b"):
        functions.delete_function(FunctionName=name)
    functions.delete_layer_version(LayerName=NAME, VersionNumber=layer["Version"])


def main():
    print("name", NAME)
    session.events.register("after-call.*.*", tell)
    functions = client("lambda")
    role = identity(client("iam"), client("sts"))
    secrets(client("secretsmanager"))
    parameters(client("ssm"))
    layer = layers(functions)
    arn = function(functions, role, layer)
    aliases(functions)
    concurrency(functions)
    settings(functions, arn)
    http_api(client("apigatewayv2"), arn)
    logs_of_it(client("logs"))
    goodbye(functions, layer)


if __name__ == "__main__":
    main()
