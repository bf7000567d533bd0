"""Generated requests are what they say, and wrong answers to them are noticed."""

import random
from dataclasses import replace
from xml.sax.saxutils import escape

import pytest
from botocore.validate import ParamValidator

from torpor.testing.aws_answers import Answer, WrongAnswer, check
from torpor.testing.aws_requests import model_of, mutated, operations_of, valid, written
from torpor.testing.aws_values import Pool, Values

SERVICES = ("lambda", "iam", "sts", "apigatewayv2", "secretsmanager", "ssm", "logs")
ROLES = written("iam", "ListRoles", {})
FUNCTIONS = written("lambda", "ListFunctions", {})
NAMED = {"x-amzn-requestid": "r"}


@pytest.mark.parametrize("service", SERVICES)
def test_drawn_parameters_are_valid_by_the_model(service):
    """botocore's own validation finds nothing in them, whether few or many members are there."""
    model = model_of(service)
    for name in operations_of(service):
        shape = model.operation_model(name).input_shape
        for density in (0.0, 0.5):
            params = Values(random.Random(name), Pool(), [b"a"], density).of(shape) if shape else {}
            report = ParamValidator().validate(params, shape) if shape else None
            assert not report or not report.has_errors(), (name, params, report.generate_report())


def test_the_same_seed_gives_the_same_request():
    """A failure can be called up again."""
    one, two = (mutated(valid("lambda", "CreateFunction", random.Random(7), Pool()), random.Random(8)) for _ in "ab")
    assert one == two


def test_what_answers_held_comes_back_in_requests():
    """An id from one answer is the next request's."""
    pool = Pool()
    pool.learn({"ApiId": "abc123", "Role": {"Arn": "arn:of:role"}, "Items": [{"RouteId": "r1"}]})
    assert pool.named("apiid") == ["abc123"]
    assert pool.named("RoleArn") == ["arn:of:role"]
    paths = {valid("apigatewayv2", "GetApi", random.Random(seed), pool).path for seed in range(20)}
    assert "/v2/apis/abc123" in paths


def test_every_way_of_mutation_is_taken():
    """Bodies, forms, headers, paths, query strings and methods all get their turn."""
    form, body = (
        valid("iam", "TagRole", random.Random(1), Pool()),
        valid("ssm", "PutParameter", random.Random(1), Pool()),
    )
    for request, own in ((form, "form"), (body, "json")):
        ways = {mutated(request, random.Random(seed)).how for seed in range(300)}
        assert ways == {own, "raw_body", "header", "path", "query", "method"}


@pytest.mark.parametrize(
    ("request_", "answer", "problem"),
    [
        (FUNCTIONS, Answer(500, NAMED, b'{"message": "m"}'), "the server failed"),
        (FUNCTIONS, Answer(200, {}, b"{}"), "no request id"),
        (FUNCTIONS, Answer(400, NAMED, b'{"message": "m"}'), "no code"),
        (FUNCTIONS, Answer(400, NAMED | {"x-amzn-errortype": "Wrong"}, b"{}"), "no message"),
        (FUNCTIONS, Answer(501, NAMED | {"x-amzn-errortype": "Wrong"}, b'{"message": "m"}'), "not built"),
        (FUNCTIONS, Answer(200, NAMED, b"nothing"), "cannot read"),
        (FUNCTIONS, Answer(200, NAMED, b'{"Functions": [{"Nope": 1}]}'), "Functions[].Nope"),
        (FUNCTIONS, Answer(200, NAMED, b'{"Functions": [{"Timeout": "1"}]}'), "Functions[].Timeout='1'"),
        (ROLES, Answer(400, NAMED, b'{"message": "m"}'), "cannot read"),
        (ROLES, Answer(200, NAMED, b"<a><ListRolesResult><Nope/></ListRolesResult></a>"), "Nope"),
        (replace(ROLES, method="HEAD"), Answer(200, NAMED, b"a"), "HEAD"),
    ],
)
def test_a_wrong_answer_is_noticed(request_, answer, problem):
    """A failure, a foreign shape, an error that says nothing: each is told, with the request."""
    with pytest.raises(WrongAnswer) as told:
        check(request_, answer)
    assert problem in str(told.value)
    assert request_.operation in str(told.value)


def test_a_right_answer_is_given_as_boto3_would():
    """Results and errors of all protocols are parsed."""
    assert check(FUNCTIONS, Answer(200, NAMED, b'{"Functions": [{"Timeout": 1}]}'))["Functions"] == [{"Timeout": 1}]
    error = f"<a><Error><Code>Wrong</Code><Message>{escape('<m>')}</Message></Error><RequestId>r</RequestId></a>"
    assert check(ROLES, Answer(400, NAMED, error.encode()))["Error"] == {"Code": "Wrong", "Message": "<m>"}
