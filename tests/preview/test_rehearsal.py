"""Revisions of a real project, planned against each other by the local engine."""

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.preview.conftest import PROGRAM, Repository
from turnout.preview.changes import UNKNOWN
from turnout.preview.plan import Plan
from turnout.preview.rehearsal import PlanFailed, rehearse
from turnout.preview.revisions import RevisionError, revision


def plan(repository: Repository, base: str = "HEAD", head: str | None = None, stack: str = "prod") -> Plan | None:
    with ExitStack() as closing:
        before, after = (closing.enter_context(revision(repository.root, name)) for name in (base, head))
        return rehearse(stack, before, after)


def told(found: Plan | None) -> list[tuple[str, str, list[str]]]:
    assert found is not None
    return [(each.operation.value, each.name, [one.path for one in each.properties]) for each in found.changes]


def test_the_same_files_change_nothing(repository: Repository) -> None:
    """Ids, ARNs and names that only a cloud knows are the same in both plans."""
    found = plan(repository)
    assert told(found) == []
    assert found is not None
    assert found.unchanged == 5


def test_a_setting_that_forces_replacement_is_followed_to_what_hangs_on_it(repository: Repository) -> None:
    repository.replace("stacks/Pulumi.prod.yaml", "10.0.0.0/16", "10.1.0.0/16")
    found = plan(repository)
    assert told(found) == [("replace", "group", ["vpcId"]), ("replace", "net", ["cidrBlock"])]
    assert found is not None
    assert found.changes[0].properties[0].before == "${net.id}"
    assert found.changes[0].properties[0].after == UNKNOWN


def test_inside_a_computed_document_the_changed_words_are_found(repository: Repository) -> None:
    """The policy is made of an ARN that is known after an update only."""
    repository.replace("program/__main__.py", "iam:PassRole", "iam:*")
    found = plan(repository)
    assert told(found) == [("update", "policy", ["policy.Statement[0].Action"])]


def test_two_commits_are_compared_and_the_working_tree_is_left_alone(repository: Repository) -> None:
    repository.replace("stacks/Pulumi.prod.yaml", "name: one", "name: two")
    repository.commit("second")
    repository.write("stacks/Pulumi.prod.yaml", "nonsense: [")
    before = repository.git("status", "--porcelain")
    assert told(plan(repository, "HEAD~1", "HEAD")) == [("update", "role", ["tags.Name"])]
    assert repository.git("status", "--porcelain") == before
    assert repository.git("worktree", "list").count("\n") == 1


def test_a_project_in_a_folder_of_its_repository_is_planned_with_what_lies_beside_it(repository: Repository) -> None:
    (repository.root / "shop").mkdir()
    for name in ("Pulumi.yaml", "program", "stacks"):
        repository.git("mv", name, f"shop/{name}")
    repository.write("cidr.txt", "10.0.0.0/16")
    beside = 'config.require("cidr")', 'open(__file__.replace("shop/program/__main__.py", "cidr.txt")).read()'
    repository.replace("shop/program/__main__.py", *beside)
    repository.commit("a folder")
    repository.write("cidr.txt", "10.1.0.0/16")
    with ExitStack() as closing:
        before, after = (closing.enter_context(revision(repository.root / "shop", name)) for name in ("HEAD", None))
        assert [name for _, name, _ in told(rehearse("prod", before, after))] == ["group", "net"]


def test_a_revision_has_all_its_files_also_those_that_no_archive_has_and_links_to_elsewhere(repository: Repository) -> None:
    repository.write(".gitattributes", "program export-ignore\n")
    (repository.root / "elsewhere").symlink_to("/dev/null")
    repository.commit("no program in archives")
    found = plan(repository)
    assert told(found) == []
    assert found is not None
    assert found.unchanged == 5
    assert repository.git("status", "--porcelain") == ""


def test_what_the_head_no_longer_declares_is_deleted_and_a_new_stack_is_made(repository: Repository) -> None:
    repository.replace("program/__main__.py", 'group = aws.ec2.SecurityGroup("group", vpc_id=vpc.id, opts=on)\n', "")
    repository.write("stacks/Pulumi.new.yaml", "config:\n  shop:cidr: 10.9.0.0/16\n  shop:name: new\n")
    assert told(plan(repository)) == [("delete", "group", [])]
    fresh = plan(repository, stack="new")
    assert fresh is not None
    assert fresh.before is None
    assert {operation for operation, *_ in told(fresh)} == {"create"}
    assert plan(repository, stack="none") is None


def test_a_secret_needs_no_passphrase_and_its_value_is_nowhere(repository: Repository) -> None:
    secure = "  shop:name:\n    secure: v1:AAAA:BBBB\n"
    repository.replace("stacks/Pulumi.prod.yaml", "  shop:name: one\n", secure)
    repository.commit("secret")
    repository.replace("stacks/Pulumi.prod.yaml", "v1:AAAA:BBBB", "v1:AAAA:CCCC")
    found = plan(repository)
    assert found is not None
    assert "CCCC" not in repr(found)
    assert found.secrets == ("shop:name",)


def test_a_program_that_fails_is_told_with_its_revision(repository: Repository) -> None:
    repository.write("program/__main__.py", PROGRAM.replace('config.require("name")', 'config.require("nothing")'))
    with pytest.raises(PlanFailed, match=r"prod of the working tree cannot be planned:\n.*shop:nothing"):
        plan(repository)


@pytest.mark.parametrize("name", ["no-such-branch", "--output=/x", "HEAD:Pulumi.yaml"])
def test_what_is_no_revision_is_refused(repository: Repository, name: str) -> None:
    with pytest.raises(RevisionError, match="no revision"):
        plan(repository, name)


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RevisionError, match="git"), revision(tmp_path, "HEAD"):
        pass


def test_a_revision_without_the_project_is_refused(repository: Repository) -> None:
    repository.git("checkout", "-q", "--orphan", "empty")
    repository.git("rm", "-rqf", ".")
    repository.write("README", "x")
    repository.commit("other")
    assert subprocess.run(["git", "checkout", "-q", "main"], cwd=repository.root, check=True)
    with pytest.raises(RevisionError, match="Pulumi.yaml"):
        plan(repository, "empty")
