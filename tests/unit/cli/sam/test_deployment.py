"""Plans and what comes of them: in order, idempotent, going on after a failure, and removing what was removed."""

import pytest

from torpor.cli.failures import Failed, Refused, WrongUse

TWO = """
Parameters: {Size: {Type: String, Default: small}}
Resources:
  Caller:
    Type: AWS::Lambda::Function
    Properties: {Environment: {Variables: {CALLED: !GetAtt Called.Arn, SIZE: !Ref Size}}}
  Called: {Type: AWS::Lambda::Function, Properties: {Handler: a.b}}
Outputs:
  Name: {Value: !Sub "${Caller}!"}
"""


def test_resources_are_made_after_what_they_need_and_once(world):
    """The order is that of references; a second run changes nothing; outputs are told."""
    assert [step[:2] for step in world.plan(TWO)] == [("create", "Called"), ("create", "Caller")]
    assert world.did == []
    assert world.apply(TWO) == ["create Called", "create Caller"]
    assert world.there["app-Caller"]["Environment"]["Variables"] == {"CALLED": "arn:app-Called", "SIZE": "small"}
    assert {step[0] for step in world.plan(TWO)} == {"unchanged"}
    assert world.apply(TWO) == []
    assert world.stack().outputs["Name"]["Value"] == "app-Caller!"
    assert world.stack().status == "deployed"


def test_a_changed_parameter_changes_what_uses_it_alone(world):
    """The plan names the property; the other function is not touched."""
    world.apply(TWO)
    assert ("update", "Caller", ("Environment",)) in world.plan(TWO, Size="large")
    assert world.apply(TWO, Size="large") == ["update Caller"]
    assert world.stack().parameters == {"Size": "large"}


def test_what_is_removed_from_the_template_is_removed_and_what_says_so_stays(world):
    """In the reverse order; a DeletionPolicy of Retain keeps the resource, and takes it out of the stack."""
    first = TWO + "# more\n"
    first = first.replace("Outputs:", "  Kept: {Type: AWS::Lambda::Function, DeletionPolicy: Retain}\nOutputs:")
    world.apply(first)
    left = "Resources:\n  Other: {Type: AWS::Lambda::Function}\n"
    steps = world.plan(left)
    assert steps[0][:2] == ("create", "Other")
    assert {step[:2] for step in steps[1:]} == {("keep", "Kept"), ("delete", "Caller"), ("delete", "Called")}
    assert world.apply(left) == ["create Other", "delete Caller", "delete Called"]
    assert set(world.there) == {"app-Other", "app-Kept"}
    assert set(world.stack().resources) == {"Other"}


def test_a_fixed_property_makes_a_new_one_before_the_old_one_goes(world):
    """Replaced; what refers to it follows before the old one is removed."""
    world.apply(TWO)
    renamed = TWO.replace("{Handler: a.b}", "{Handler: a.b, FunctionName: other}")
    assert [step[:2] for step in world.plan(renamed)] == [("replace", "Called"), ("update", "Caller")]
    assert world.apply(renamed) == ["create Called", "update Caller", "delete Called"]
    assert set(world.there) == {"other", "app-Caller"}
    assert world.apply(renamed) == []


def test_a_new_logical_id_for_the_same_name_is_no_new_function(world):
    """A function with a name of its own keeps running when only its place in the template is called otherwise."""
    world.apply("Resources:\n  A: {Type: AWS::Lambda::Function, Properties: {FunctionName: f}}\n")
    renamed = "Resources:\n  B: {Type: AWS::Lambda::Function, Properties: {FunctionName: f}}\n"
    assert world.plan(renamed) == [("unchanged", "B", ())]
    assert world.apply(renamed) == []
    assert set(world.stack().resources) == {"B"}


def test_after_a_failure_the_next_run_goes_on(world):
    """What was done stays done and written down with the reason; the next run does the rest."""
    world.fails["create Caller"] = "no room"
    with pytest.raises(Refused, match=r"t.yaml:4: Caller: no room"):
        world.apply(TWO)
    stack = world.stack()
    assert (stack.status, set(stack.resources)) == ("failed", {"Called"})
    assert "no room" in stack.reason
    world.fails.clear()
    assert world.apply(TWO) == ["create Caller"]
    assert world.stack().status == "deployed"


def test_what_broke_after_it_was_made_is_finished_and_not_made_again(world):
    """A build that fails leaves a function that is the stack's: it is updated by the next run, or removed with it."""
    world.fails["create Called"] = "half"
    with pytest.raises(Failed):
        world.apply(TWO)
    assert "app-Called" in world.there
    world.fails.clear()
    assert world.apply(TWO) == ["update Called", "create Caller"]


def test_an_update_that_failed_is_tried_again_though_the_template_stays(world):
    """Also where the old settings come back: what the server has is not known."""
    world.apply(TWO)
    world.fails["update Caller"] = "half"
    with pytest.raises(Failed):
        world.apply(TWO, Size="large")
    world.fails.clear()
    assert world.apply(TWO, Size="small") == ["update Caller"]


def test_what_belongs_to_others_is_not_taken(world):
    """A function of that name that no stack made is neither changed nor written down as ours."""
    world.there["app-Called"] = {"of": "others"}
    with pytest.raises(Refused, match="exists already, and is not of this stack"):
        world.apply(TWO)
    with pytest.raises(Refused):
        world.apply(TWO)
    assert world.there["app-Called"] == {"of": "others"}
    assert world.stack().resources == {}


def test_a_removal_that_fails_is_not_forgotten(world):
    """It stays among what is to be removed, the plan shows it, and the next run removes it."""
    world.apply(TWO)
    left = "Resources:\n  Called: {Type: AWS::Lambda::Function, Properties: {Handler: a.b}}\n"
    world.fails["delete Caller"] = "busy"
    with pytest.raises(Failed, match="could not be removed: busy"):
        world.apply(left)
    assert [made.id for made in world.stack().leftovers] == ["Caller"]
    assert ("delete", "Caller", ()) in world.plan(left)
    world.fails.clear()
    assert world.apply(left) == ["delete Caller"]
    assert world.stack().leftovers == []


def test_what_somebody_removed_meanwhile_is_made_again(world):
    """An update of what is not there any more makes it; a removal is content."""
    world.apply(TWO)
    del world.there["app-Caller"]
    assert world.apply(TWO, Size="large") == ["create Caller"]
    world.there.clear()
    world.remove()
    assert world.records == {}


def test_two_deployments_do_not_mix(world):
    """Who began from a state that is no longer the latest is refused before anything is changed."""
    world.apply(TWO)
    late = world.deployment(TWO, Size="large")
    late.plan()
    world.apply(TWO, Size="medium")
    with pytest.raises(Refused, match="meanwhile"):
        late.apply()
    assert world.there["app-Caller"]["Environment"]["Variables"]["SIZE"] == "medium"


def test_a_stack_is_removed_newest_first_and_goes_on_after_a_failure(world):
    """Nothing is half removed silently: what is left is in the record until it is gone."""
    world.apply(TWO)
    world.fails["delete Called"] = "busy"
    with pytest.raises(Failed):
        world.remove()
    assert world.stack().status == "failed"
    assert set(world.there) == {"app-Called"}
    world.fails.clear()
    assert world.remove() == []
    assert (world.there, world.records) == ({}, {})


def test_circles_are_told_with_their_lines(world):
    """Two functions that refer to each other cannot be made, here as on AWS."""
    circle = TWO.replace("{Handler: a.b}", "{Handler: !Ref Caller}")
    with pytest.raises(WrongUse, match=r"(?s)in a circle.*t.yaml:"):
        world.plan(circle)


def test_references_that_lead_nowhere_are_told_before_anything_is_done(world):
    """An unknown name, an attribute there is none of, and what its condition leaves out; each with its line."""
    for wrong in ("!Ref Nobody", "!GetAtt Called.Colour"):
        with pytest.raises(WrongUse, match=r"t.yaml:6: "):
            world.plan(TWO.replace("!GetAtt Called.Arn", wrong))
    absent = TWO.replace(
        "{Type: AWS::Lambda::Function, Properties: {Handler: a.b}}", "{Type: AWS::Lambda::Function, Condition: Never}"
    )
    absent = "Conditions: {Never: !Equals [a, b]}\n" + absent
    with pytest.raises(WrongUse, match="Called is not made under these conditions"):
        world.plan(absent)


def test_conditions_leave_resources_and_outputs_out(world):
    """What is not made is not planned, and is removed where it was made before."""
    text = """
Parameters: {Stage: {Type: String, Default: dev}}
Conditions: {IsProd: !Equals [!Ref Stage, prod]}
Resources:
  A: {Type: AWS::Lambda::Function}
  B: {Type: AWS::Lambda::Function, Condition: IsProd}
Outputs: {B: {Condition: IsProd, Value: !Ref B}}
"""
    assert world.apply(text) == ["create A"]
    assert world.stack().outputs == {}
    assert world.apply(text, Stage="prod") == ["create B"]
    assert world.stack().outputs["B"]["Value"] == "app-B"
    assert world.apply(text) == ["delete B"]


def test_events_without_a_source_wait_with_the_stack(world):
    """Queues and the like are recorded with line and settings, and can be referred to; nothing is dropped."""
    text = """
Resources:
  Work:
    Type: AWS::Lambda::Function
    Properties: {Environment: {Variables: {QUEUE: !Ref Jobs, ARN: !GetAtt Jobs.Arn}}}
  Jobs: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 60}}
"""
    world.apply(text)
    assert [(one["resource"], one["type"], one["line"]) for one in world.stack().waiting] == [
        ("Jobs", "AWS::SQS::Queue", 6)
    ]
    variables = world.there["app-Work"]["Environment"]["Variables"]
    assert variables == {
        "QUEUE": "http://127.0.0.1:7070/000000000000/app-Jobs", "ARN": "arn:aws:sqs:us-east-1:000000000000:app-Jobs",
    }  # fmt: skip


def test_what_is_not_supported_is_named_with_its_line(world):
    """Types by their resource, properties by their own line."""
    text = """
Resources:
  Table: {Type: AWS::DynamoDB::Table}
  F:
    Type: AWS::Lambda::Function
    Properties:
      VpcConfig: {SubnetIds: [a]}
"""
    application = world.deployment(text).application
    assert application.unsupported == ["t.yaml:3: Table: AWS::DynamoDB::Table is not supported"]
    assert application.remarks[0].startswith("t.yaml:7: F: VpcConfig: there are no VPCs")


def test_a_secret_parameter_is_not_written_down(world):
    """The record has digests of properties, and of parameters with NoEcho nothing."""
    text = TWO.replace("{Type: String, Default: small}", "{Type: String, Default: small, NoEcho: true}")
    world.apply(text, Size="hunter2-secret")
    assert "hunter2-secret" not in world.records["app"][1]
    assert world.stack().parameters == {"Size": "****"}


def test_addresses_follow_the_server(world):
    """A server that has another address now gives outputs with that one."""
    stack = world.stack()
    stack.url = "http://old:1"
    from torpor.cli.sam.record import Made

    stack.resources["A"] = Made(
        id="A", type="x", physical="a", attributes={"ApiEndpoint": "http://old:1/api/a", "Ref": "a"}
    )
    stack.moved_to("http://new:2")
    assert stack.resources["A"].attributes == {"ApiEndpoint": "http://new:2/api/a", "Ref": "a"}


def test_versions_go_with_their_function(world):
    """What stays when a stack is removed is told; a version whose function is removed does not stay."""
    from torpor.cli.sam.record import Made

    text = "Resources:\n  F: {Type: AWS::Lambda::Function}\n  Stays: {Type: AWS::Lambda::Function, DeletionPolicy: Retain}\n"
    world.apply(text)
    stack = world.stack()
    arn = "arn:aws:lambda:us-east-1:000000000000:function"
    for name in ("F", "Stays"):
        physical = f"{arn}:app-{name}:1"
        stack.resources[f"{name}1"] = Made(id=f"{name}1", type="AWS::Lambda::Version", physical=physical, keep=True)
    world.keep(stack)
    assert [made.id for made in world.remove()] == ["Stays", "Stays1"]
    assert set(world.there) == {"app-Stays"}
