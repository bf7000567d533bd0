"""Whatever botocore writes, the protocols read back; whatever they write, botocore reads back."""

import string
from datetime import UTC, datetime
from functools import cache

import pytest
from botocore.awsrequest import HeadersDict, create_request_object, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import ServiceModel as BotocoreModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torpor.aws.protocol.dialects import dialect_for
from torpor.aws.protocol.model import load_model
from torpor.core.http import HttpRequest

pytestmark = pytest.mark.slow

# What torpor serves, and operations of other services that use what those do not: recursion, greedy labels, header
# lists and prefixes, flattened lists and maps, JSON 1.0 and 1.1, every format of timestamps.
OPERATIONS = {
    "lambda": [
        "CreateFunction",
        "CreateFunctionUrlConfig",
        "DeleteFunction",
        "DeleteFunctionUrlConfig",
        "GetFunction",
        "GetFunctionConfiguration",
        "GetFunctionUrlConfig",
        "Invoke",
        "ListFunctionUrlConfigs",
        "ListFunctions",
        "UpdateFunctionCode",
        "UpdateFunctionConfiguration",
        "UpdateFunctionUrlConfig",
        "TagResource",
        "UntagResource",
        "PutFunctionConcurrency",
        "ListProvisionedConcurrencyConfigs",
        "GetLayerVersionByArn",
    ],
    "sts": ["GetCallerIdentity", "AssumeRole"],
    "iam": [
        "CreateRole",
        "GetRole",
        "DeleteRole",
        "ListRoles",
        "AttachRolePolicy",
        "ListAttachedRolePolicies",
        "GetRolePolicy",
        "ListRolePolicies",
        "UntagRole",
        "SimulateCustomPolicy",
    ],
    "apigatewayv2": ["CreateApi", "UpdateRoute"],
    "sagemaker-runtime": ["InvokeEndpoint"],
    "dynamodb": ["PutItem", "Query"],
    "logs": ["PutLogEvents", "FilterLogEvents"],
    "sqs": ["SendMessageBatch", "ReceiveMessage"],
    "sns": ["SetTopicAttributes", "PublishBatch", "GetTopicAttributes"],
    "elasticbeanstalk": ["DescribeEvents"],
    "rds": ["DescribeDBClusters"],
    "appconfigdata": ["GetLatestConfiguration"],
    "mediastore-data": ["DescribeObject"],
    "pinpoint-sms-voice": ["CreateConfigurationSet"],
    "glacier": ["UploadArchive", "InitiateJob"],
    "iot-data": ["GetThingShadow", "Publish"],
    "lex-runtime": ["PostContent"],
    "backup": ["ListBackupJobs"],
}
CASES = [(service, operation) for service, operations in OPERATIONS.items() for operation in operations]

XML_SAFE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"))
HEADER_SAFE = st.text(string.ascii_letters + string.digits + "-_./:$ ", min_size=1).map(str.strip).filter(bool)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)).map(  # noqa: DTZ001  made aware below
    lambda moment: moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)
)
SECONDS = MOMENTS.map(lambda moment: moment.replace(microsecond=0))
QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@cache
def botocore_model(service):
    return BotocoreModel(Loader().load_service_model(service, "service-2"), service)


@cache
def dialect(service):
    return dialect_for(load_model(service, OPERATIONS[service]))


def values(shape, depth, form):
    """Values of a shape as a user of boto3 would write them."""
    location = shape.serialization.get("location")
    if shape.type_name == "structure":
        return structures(shape, depth, form)
    if shape.type_name == "list":
        least = 1 if location in ("header", "querystring") else 0
        most = 0 if depth > 3 and not least else 3
        item = shape.member if location != "header" else None
        return st.lists(HEADER_SAFE if item is None else values(item, depth + 1, form), min_size=least, max_size=most)
    if shape.type_name == "map":
        if location == "headers":
            return st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), HEADER_SAFE, max_size=2)
        return st.dictionaries(
            values(shape.key, depth + 1, form), values(shape.value, depth + 1, form), min_size=int(form), max_size=3
        )
    return scalars(shape, location)


def scalars(shape, location):
    choices = [200, 202] if location == "statusCode" else getattr(shape, "enum", None)
    if choices:
        return st.sampled_from(choices)
    kind = shape.type_name
    if kind == "timestamp":
        whole = location == "header" or shape.serialization.get("timestampFormat") == "rfc822"
        return SECONDS if whole else MOMENTS
    if kind == "string":
        return {None: XML_SAFE, "uri": XML_SAFE.filter(bool)}.get(location, HEADER_SAFE)
    bits = {"integer": 2**31 - 1, "long": 2**63 - 1}.get(kind)
    if bits:
        return st.integers(-bits, bits)
    if kind in ("float", "double"):
        return st.floats(allow_nan=False, allow_infinity=False, width=32)
    return {"boolean": st.booleans(), "blob": st.binary(max_size=20)}[kind]


def structures(shape, depth, form):
    """Structures; a form has no way to write an empty one, nor an empty map."""
    if shape.is_document_type:
        return st.just({"any": [1, "thing"]})
    members = {name: values(member, depth + 1, form) for name, member in shape.members.items() if wanted(member, depth)}
    if shape.is_tagged_union:
        return st.one_of([st.fixed_dictionaries({name: value}) for name, value in members.items()])
    required = {name: members[name] for name in shape.required_members if name in members}
    for name, member in shape.members.items():
        if member.serialization.get("location") in ("uri", "headers") or shape.serialization.get("payload") == name:
            required[name] = members[name]
    optional = {name: value for name, value in members.items() if name not in required}
    built = st.fixed_dictionaries(required, optional=optional)
    return built.filter(bool) if form and depth and members else built


def is_form(model):
    return model.metadata["protocol"] == "query"


def wanted(member, depth):
    """Bound recursion, and leave out what is no plain value."""
    return not (depth > 2 and member.type_name in ("structure", "list", "map")) and not member.serialization.get(
        "jsonvalue"
    )


def sent(model, operation, params):
    """The request that botocore sends for these parameters."""
    serializer = create_serializer(model.metadata["protocol"], include_validation=False)
    plain = serializer.serialize_to_request(params, operation)
    prepare_request_dict(plain, endpoint_url="http://localhost")
    prepared = create_request_object(plain).prepare()
    path, _, query = prepared.url.removeprefix("http://localhost").partition("?")
    body = prepared.body or b""
    return HttpRequest(
        method=prepared.method,
        path=path,
        query=query,
        headers=tuple(
            (name.lower(), value if isinstance(value, str) else value.decode())
            for name, value in prepared.headers.items()
        ),
        body=body.encode() if isinstance(body, str) else bytes(body),
    )


@pytest.mark.parametrize(("service", "name"), CASES, ids=lambda case: case)
@QUICK
@given(data=st.data())
def test_what_botocore_writes_is_read_back(service, name, data):
    """Any parameters that botocore serializes arrive as they were, at the operation they were meant for."""
    model = botocore_model(service)
    operation = model.operation_model(name)
    params = data.draw(structures(operation.input_shape, 0, is_form(model))) if operation.input_shape else {}
    request = sent(model, operation, params)
    match = dialect(service).match(request)
    assert match.operation.name == name
    assert dialect(service).parse(match, request) == params


@pytest.mark.parametrize(("service", "name"), CASES, ids=lambda case: case)
@QUICK
@given(data=st.data())
def test_what_is_written_botocore_reads_back(service, name, data):
    """Any result is parsed by botocore's own parser as it was meant."""
    model = botocore_model(service)
    operation = model.operation_model(name)
    shape = operation.output_shape
    result = data.draw(structures(shape, 0, is_form(model))) if shape else {}
    ours = dialect(service).model.operations[name]
    response = dialect(service).answer(ours, result, "request-1", ())
    parser = create_parser(model.metadata["protocol"])
    plain = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": response.body}
    payload = shape.serialization.get("payload") if shape else None
    if payload and shape.members[payload].type_name == "blob":
        plain["body"], expected = b"", response.body  # the parser wants text here; SDKs hand it a stream
        result = {**result, payload: expected.decode("latin-1")}
    parsed = parser.parse(plain, shape)
    assert parsed.pop("ResponseMetadata")["RequestId"] == "request-1"
    if payload and shape.members[payload].type_name == "blob":
        parsed[payload] = response.body.decode("latin-1")
    if shape:
        statuses = [member for member, of in shape.members.items() if of.serialization.get("location") == "statusCode"]
        for member in statuses:
            result.setdefault(member, response.status)
    assert parsed == result


def test_the_two_disagree_where_they_should():
    """The comparison above is no tautology: a changed byte is noticed."""
    model = botocore_model("iam")
    operation = model.operation_model("GetRole")
    request = sent(model, operation, {"RoleName": "one"})
    changed = HttpRequest(method="POST", path="/", body=request.body.replace(b"one", b"two"))
    assert dialect("iam").parse(dialect("iam").match(changed), changed) == {"RoleName": "two"}
