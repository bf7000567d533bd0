"""Policies as permissions: what maps is mapped, nothing is widened, and the rest is told."""

import pytest

from torpor.cli.sam.permissions import granted_by

LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:"


def one(**statement):
    return granted_by([], [{"PolicyDocument": {"Statement": [{"Effect": "Allow", **statement}]}}])


@pytest.mark.parametrize(
    ("action", "resource", "permission"),
    [
        ("lambda:InvokeFunction", f"{LAMBDA}work", "lambda:InvokeFunction/work"),
        ("lambda:InvokeFunction", f"{LAMBDA}work*", "lambda:InvokeFunction/work*"),
        ("lambda:InvokeFunction", f"{LAMBDA}work:live", "lambda:InvokeFunction/work"),
        ("lambda:Get*", "*", "lambda:Get*"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:r:1:secret:prod/db-??????", "secretsmanager:GetSecretValue/prod/db"),
        ("ssm:GetParameter", "arn:aws:ssm:r:1:parameter/app/key", "ssm:GetParameter/app/key"),
        ("*", "*", "*"),
    ],
)  # fmt: skip
def test_a_statement_is_a_permission(action, resource, permission):
    """Bound to the resource that its ARN names."""
    assert one(Action=action, Resource=resource).permissions == (permission,)


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "lambda:InvokeFunction", "Resource": "*", "Effect": "Deny"},
        {"Action": "lambda:InvokeFunction", "Resource": "*", "Condition": {"Bool": {"a": "true"}}},
        {"NotAction": "lambda:*", "Resource": "*"},
        {"Action": "lambda:*", "NotResource": "x"},
        {"Action": "dynamodb:GetItem", "Resource": "*"},
        {"Action": "lambda:InvokeFunction", "Resource": "arn:aws:s3:::bucket"},
        {"Action": "lambda:InvokeFunction", "Resource": []},
    ],
)
def test_what_does_not_map_grants_nothing_and_is_told(statement):
    """Denials, conditions, negations and services there are none of."""
    granted = one(**statement)
    assert granted.permissions == ()
    assert len(granted.left) == 1


def test_managed_policies_are_known_or_told():
    """Logs need no permission here; what nothing corresponds to is named."""
    base = "arn:aws:iam::aws:policy/"
    granted = granted_by(
        [
            f"{base}service-role/{name}"
            for name in ("AWSLambdaBasicExecutionRole", "AWSLambdaRole", "AmazonDynamoDBFullAccess")
        ],
        [],
    )
    assert granted.permissions == ("lambda:InvokeFunction",)
    assert [left for left in granted.left if "AmazonDynamoDBFullAccess" in left] == list(granted.left)
