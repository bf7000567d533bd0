"""The policies of roles through boto3: attached, written into a role, listed, taken away, refused."""

import json

import pytest
from botocore.exceptions import ClientError

BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "a+b %20", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}


@pytest.fixture
def iam(world):
    client = world.client("iam")
    client.create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    return client


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def test_a_script_sets_up_a_role_and_takes_it_down(iam):
    """Attach, write and list policies; the role goes only when they are gone."""
    iam.attach_role_policy(RoleName="r", PolicyArn=BASIC)
    iam.attach_role_policy(RoleName="r", PolicyArn=BASIC)
    iam.put_role_policy(RoleName="r", PolicyName="own", PolicyDocument=json.dumps(POLICY))
    listed = iam.list_attached_role_policies(RoleName="r")
    assert listed["AttachedPolicies"] == [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    assert listed["IsTruncated"] is False
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == ["own"]
    got = iam.get_role_policy(RoleName="R", PolicyName="own")
    assert (got["RoleName"], got["PolicyName"], got["PolicyDocument"]) == ("r", "own", POLICY)
    with pytest.raises(iam.exceptions.DeleteConflictException, match="must detach all policies first"):
        iam.delete_role(RoleName="r")
    iam.detach_role_policy(RoleName="r", PolicyArn=BASIC)
    assert refused(iam.delete_role, RoleName="r") == (
        409,
        "DeleteConflict",
        "Cannot delete entity, must delete policies first.",
    )
    iam.delete_role_policy(RoleName="r", PolicyName="own")
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == []
    assert iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"] == []
    iam.delete_role(RoleName="r")


def test_policies_are_paged(iam):
    """Markers lead through all policies once, also while they are taken away, and a path filters."""
    for letter in "ebdac":
        iam.attach_role_policy(RoleName="r", PolicyArn=f"arn:aws:iam::aws:policy/{letter}")
        iam.put_role_policy(RoleName="r", PolicyName=letter, PolicyDocument=json.dumps(POLICY))
    iam.attach_role_policy(RoleName="r", PolicyArn=BASIC)
    below = iam.list_attached_role_policies(RoleName="r", PathPrefix="/service-role/")["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in below] == [BASIC]
    size = {"PageSize": 2}
    pages = iam.get_paginator("list_role_policies").paginate(RoleName="r", PaginationConfig=size)
    assert [page["PolicyNames"] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    seen = []
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName="r", PaginationConfig=size):
        for policy in page["AttachedPolicies"]:
            seen.append(policy["PolicyName"])
            iam.detach_role_policy(RoleName="r", PolicyArn=policy["PolicyArn"])
    assert seen == ["a", "b", "c", "d", "e", "AWSLambdaBasicExecutionRole"]
    assert refused(iam.list_role_policies, RoleName="r", Marker="!")[:2] == (400, "InvalidInput")


def test_the_longest_names_fit_a_marker(iam):
    """Whatever can be listed can be paged: a marker has 320 characters at most."""
    start = "arn:aws:iam::aws:policy/"
    longest = start + "p" * (239 - len(start) - 129) + "/" + "n" * 128
    iam.attach_role_policy(RoleName="r", PolicyArn=longest)
    iam.attach_role_policy(RoleName="r", PolicyArn=start + "z")
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName="r", PaginationConfig={"PageSize": 1})
    assert [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]] == [longest, start + "z"]
    assert refused(iam.attach_role_policy, RoleName="r", PolicyArn=longest.replace("/n", "p/n"))[1] == "NoSuchEntity"


def test_what_is_missing_is_named(iam):
    """The role, the attachment and the inline policy each have IAM's own words."""
    document = json.dumps(POLICY)
    no_role = (404, "NoSuchEntity", "The role with name none cannot be found.")
    for call, more in (
        (iam.attach_role_policy, {"PolicyArn": READ}),
        (iam.detach_role_policy, {"PolicyArn": READ}),
        (iam.list_attached_role_policies, {}),
        (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": document}),
        (iam.get_role_policy, {"PolicyName": "p"}),
        (iam.list_role_policies, {}),
        (iam.delete_role_policy, {"PolicyName": "p"}),
        (iam.update_assume_role_policy, {"PolicyDocument": "{}"}),
        (iam.tag_role, {"Tags": [{"Key": "k", "Value": "v"}]}),
        (iam.untag_role, {"TagKeys": ["k"]}),
    ):
        assert refused(call, RoleName="none", **more) == no_role
    assert refused(iam.detach_role_policy, RoleName="r", PolicyArn=READ) == (
        404,
        "NoSuchEntity",
        f"Policy {READ} was not found.",
    )
    no_policy = (404, "NoSuchEntity", "The role policy with name p cannot be found.")
    assert refused(iam.get_role_policy, RoleName="r", PolicyName="p") == no_policy
    assert refused(iam.delete_role_policy, RoleName="r", PolicyName="p") == no_policy


def test_what_cannot_be_attached_is_told_apart(iam):
    """One's own managed policies do not exist here, with the way to go; other strings are no ARNs."""
    mine = "arn:aws:iam::000000000000:policy/mine"
    status, code, message = refused(iam.attach_role_policy, RoleName="r", PolicyArn=mine)
    assert (status, code) == (404, "NoSuchEntity")
    assert message.startswith(f"Policy {mine} does not exist or is not attachable.")
    assert "PutRolePolicy" in message
    wrong = "arn:aws:s3:::a-bucket-of-mine"
    assert refused(iam.attach_role_policy, RoleName="r", PolicyArn=wrong) == (
        400,
        "InvalidInput",
        f"ARN {wrong} is not valid.",
    )


def test_limits_are_iams(iam):
    """Ten managed policies, 10,240 characters of inline ones, and fifty tags."""
    for number in range(10):
        iam.attach_role_policy(RoleName="r", PolicyArn=f"arn:aws:iam::aws:policy/p{number}")
    assert refused(iam.attach_role_policy, RoleName="r", PolicyArn=READ) == (
        409,
        "LimitExceeded",
        "Cannot exceed quota for PoliciesPerRole: 10",
    )
    large = json.dumps(POLICY | {"Id": "x" * 10_240})
    assert refused(iam.put_role_policy, RoleName="r", PolicyName="p", PolicyDocument=large) == (
        409,
        "LimitExceeded",
        "Maximum policy size of 10240 bytes exceeded for role r",
    )
    iam.tag_role(RoleName="r", Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])
    assert refused(iam.tag_role, RoleName="r", Tags=[{"Key": "more", "Value": ""}])[:2] == (409, "LimitExceeded")


def test_a_policy_that_is_none_is_malformed(iam):
    """IAM's own code and words, for what is written into a role and for whom it trusts."""
    put = {"RoleName": "r", "PolicyName": "p"}
    assert refused(iam.put_role_policy, PolicyDocument="{", **put) == (
        400,
        "MalformedPolicyDocument",
        "Syntax errors in policy.",
    )
    assert refused(iam.update_assume_role_policy, RoleName="r", PolicyDocument="{") == (
        400,
        "MalformedPolicyDocument",
        "This policy contains invalid Json",
    )


def test_trust_and_tags_change(iam):
    """What GetRole says follows UpdateAssumeRolePolicy, TagRole and UntagRole."""
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=json.dumps(POLICY))
    iam.tag_role(RoleName="r", Tags=[{"Key": "team", "Value": "x"}, {"Key": "stage", "Value": ""}])
    iam.tag_role(RoleName="r", Tags=[{"Key": "Team", "Value": "y"}])
    iam.untag_role(RoleName="r", TagKeys=["STAGE", "never-there"])
    role = iam.get_role(RoleName="r")["Role"]
    assert role["AssumeRolePolicyDocument"] == POLICY
    assert role["Tags"] == [{"Key": "Team", "Value": "y"}]
