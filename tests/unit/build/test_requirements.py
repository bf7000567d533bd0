"""What a bundle declares is read as data, and only what is safe to follow is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.build.requirements import read_requirements
from torpor.build.texts import MAX_TEXT_BYTES
from torpor.core.errors import BuildFailed

BASE = ("boto3",)


@pytest.fixture
def read(tmp_path):
    """Reads the requirements of a bundle of these files."""

    def of(files, *, source_builds=False, indexes=True):
        code = tmp_path / "code"
        for name, content in files.items():
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            (code / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_requirements(code, base=BASE, source_builds=source_builds, indexes=indexes)

    return of


def test_without_any_the_base_environment_is_taken(read):
    """Code that declares nothing gets boto3, and so does an empty requirements.txt."""
    assert read({"app.py": "import json\n"}).declared.lines == BASE
    assert read({"requirements.txt": "# nothing\n\n"}).source == "the base environment"


def test_requirements_txt_goes_first(read):
    """requirements.txt is read before pyproject.toml, which is read before scripts."""
    files = {
        "app.py": '# /// script\n# dependencies = ["c"]\n# ///\n',
        "pyproject.toml": '[project]\nname = "x"\ndependencies = ["b>=2", "d ; python_version > \'3\'"]\n',
    }
    assert read({"app.py": files["app.py"]}).declared.lines == ("c",)
    found = read(files)
    assert found.declared.lines == ("b>=2", 'd; python_version > "3"')
    assert found.source == "pyproject.toml"
    found = read({**files, "requirements.txt": "a==1\n"})
    assert (found.declared.lines, found.source) == (("a==1",), "requirements.txt")


def test_blocks_of_several_files_are_joined(read):
    """The PEP 723 blocks of all files at the top count together, with their Python versions."""
    block = '# /// script\n# requires-python = ">={}"\n# dependencies = [\n#   "{}",\n# ]\n#\n# ///\nx = 1\n'
    found = read(
        {
            "a.py": block.format("3.9", "one"),
            "b.py": block.format("3.10", "two"),
            "sub/c.py": block.format("3.12", "no"),
        }
    )
    assert found.declared.lines == ("one", "two")
    assert found.source == "a.py, b.py"
    assert found.accepts("3.11.4")
    assert not found.accepts("3.9.1")


def test_a_block_ends_where_the_specification_says(read):
    """A block without an end is none, another type is none, and two are one too many."""
    assert read({"app.py": '# /// script\n# dependencies = ["x"]\n'}).declared.lines == BASE
    assert read({"app.py": '# /// other\n# dependencies = ["x"]\n# ///\n'}).declared.lines == BASE
    with pytest.raises(BuildFailed, match="more than one"):
        read({"app.py": "# /// script\n# ///\n\n# /// script\n# ///\n"})


def test_lines_are_read_as_pip_reads_them(read):
    """Comments, continued lines, markers, extras, includes and constraints have pip's meaning."""
    found = read(
        {
            "requirements.txt": (
                "\ufeff# head\nrequests[socks]>=2,<3 ; python_version >= '3.8'  # why\n"
                "numpy==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n-r more/extra.txt\n-cmore/limits.txt\n--pre\n"
                "--only-binary=:all:\n--no-index\n"
            ),
            "more/extra.txt": "--requirement=../requirements.txt\nUrl_Lib\n",
            "more/limits.txt": "pandas<3\n",
        }
    ).declared
    assert found.lines == ('requests[socks]<3,>=2; python_version >= "3.8"', "numpy==1.0", "Url_Lib")
    assert found.constraints == ("pandas<3",)
    assert found.hashes == (("numpy", frozenset({"sha256:aa", "sha256:bb"})),)
    assert found.prereleases
    assert found.no_index


def test_indexes_of_a_bundle_are_kept_unless_forbidden(read):
    """Web indexes and folders of the bundle are honoured, and refused where the operator says so."""
    text = "-i https://one.example/simple\n--extra-index-url https://two.example/simple\n-f ./wheels\n-f https://x.example/w\na\n"
    found = read({"requirements.txt": text, "wheels/a.whl": ""}).declared
    assert found.index_url == "https://one.example/simple"
    assert found.extra_indexes == ("https://two.example/simple",)
    assert [place.rpartition("/code/")[2] for place in found.find_links] == ["wheels", "https://x.example/w"]
    with pytest.raises(BuildFailed, match="own indexes only"):
        read({"requirements.txt": text}, indexes=False)


def test_wheels_in_the_bundle_and_on_the_web_are_kept(read):
    """A wheel may be named by its path in the bundle or by its address."""
    text = "./wheels/a-1-py3-none-any.whl ; python_version > '3'\nb @ https://x.example/b-1-py3-none-any.whl\nhttps://x.example/c.whl\n"
    lines = read({"requirements.txt": text, "wheels/a-1-py3-none-any.whl": ""}).declared.lines
    assert lines[0].startswith("file:///")
    assert lines[0].endswith("/code/wheels/a-1-py3-none-any.whl ; python_version > '3'")
    assert lines[1:] == ("b @ https://x.example/b-1-py3-none-any.whl", "https://x.example/c.whl")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-e .", "editable"),
        ("--editable=git+https://x.example/r", "editable"),
        (".", "is a folder"),
        ("./sub", "is a folder"),
        ("/etc/passwd", "outside the bundle"),
        ("../x.whl", "outside the bundle"),
        ("file:///etc/x.whl", "outside the bundle"),
        ("missing.whl", "no file missing.whl"),
        ("a @ file:///etc/x.whl", "names a local file"),
        ("git+https://x.example/r.git", "cannot be pinned"),
        ("a @ git+ssh://x.example/r", "cannot be pinned"),
        ("a @ ftp://x.example/a.whl", "cannot be pinned"),
        ("https://x.example/a-1.tar.gz", "source archive"),
        ("a @ https://x.example/a.exe", "neither a wheel nor"),
        ("./sub/s-1.tar.gz", "source archive"),
        ("--trusted-host x.example", "switch off TLS"),
        ("--index-url file:///srv/index", "http or https"),
        ("--extra-index-url /srv/index", "http or https"),
        ("--find-links /srv/wheels", "inside the bundle"),
        ("--find-links ../", "inside the bundle"),
        ("--no-binary :all:", "builds from source"),
        ("--index-url https://${TOKEN}@x.example/", "not filled in"),
        ("--what-is-this 1", "not supported"),
        ("a --config-settings=x", "not supported"),
        ("a ===== 1", "not a requirement"),
        ("a ; " + "(" * 5000, "not a requirement"),
        ("-r missing.txt", "no file missing.txt"),
        ("-r ../../etc/passwd", "outside the bundle"),
        ("-r /etc/passwd", "outside the bundle"),
        ("--find-links 'x", "cannot be read"),
    ],
)
def test_what_is_not_safe_is_refused_by_its_line(read, line, words):
    """Each thing that would leave the bundle, run a build, or weaken a check is refused, naming file and line."""
    with pytest.raises(BuildFailed, match=rf"(?s)(requirements\.txt, line 2.*)?{words}"):
        read({"requirements.txt": f"ok\n{line}\n", "sub/x.py": "", "sub/s-1.tar.gz": ""})


def test_source_archives_are_kept_where_builds_are_allowed(read):
    """With source builds allowed, source archives and --no-binary pass; folders still do not."""
    text = "https://x.example/a-1.tar.gz\n./s-1.tar.gz\n--no-binary a,b\n"
    found = read({"requirements.txt": text, "s-1.tar.gz": ""}, source_builds=True).declared
    assert len(found.lines) == 2
    assert found.no_binary == ("a", "b")


def test_links_in_the_bundle_lead_nowhere_else(read, tmp_path):
    """A requirements.txt that is a link out of the bundle is not followed."""
    (tmp_path / "code").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "code/requirements.txt").symlink_to("../secret")
    with pytest.raises(BuildFailed, match="outside the bundle"):
        read({})


def test_what_cannot_be_read_is_said(read):
    """Broken TOML, wrong types, other encodings and sizes are refused by their file."""
    with pytest.raises(BuildFailed, match=r"pyproject\.toml is not valid TOML"):
        read({"pyproject.toml": "[project"})
    with pytest.raises(BuildFailed, match="must be a list of strings"):
        read({"pyproject.toml": "[project]\ndependencies = {a = 1}\n"})
    with pytest.raises(BuildFailed, match="dynamic"):
        read({"pyproject.toml": '[project]\ndynamic = ["dependencies"]\n'})
    with pytest.raises(BuildFailed, match="requires-python"):
        read({"pyproject.toml": '[project]\nrequires-python = "new"\n'})
    with pytest.raises(BuildFailed, match="must be a table"):
        read({"pyproject.toml": "project = 1\n"})
    with pytest.raises(BuildFailed, match="larger than"):
        read({"pyproject.toml": b"#" * (MAX_TEXT_BYTES + 1)})
    with pytest.raises(BuildFailed, match="UTF-8"):
        read({"pyproject.toml": b"\xff\xfe"})


def test_odd_python_files_declare_nothing(read):
    """A Python file too large or in another encoding to read metadata from is passed over."""
    block = b'# /// script\n# dependencies = ["x"]\n# ///\n'
    assert read({"a.py": b"# \xff\n" + block, "b.py": block + b"#" * MAX_TEXT_BYTES}).declared.lines == BASE


@given(
    st.lists(st.sampled_from(["# /// script", "# ///", "# dependencies = ['a']", "#", "x = 1", "", "# a"]), max_size=12)
)
def test_any_comments_are_read_without_failing_oddly(tmp_path_factory, lines):
    """Whatever run of comments a file has, it declares something, nothing, or is refused as a build failure."""
    code = tmp_path_factory.mktemp("code")
    (code / "app.py").write_text("\n".join(lines))
    try:
        found = read_requirements(code, base=BASE, source_builds=False)
    except BuildFailed:
        return
    assert found.declared.lines in (BASE, ("a",))


def test_files_that_include_each_other_without_end_are_refused(read):
    """A long chain of includes is refused; a circle is read once."""
    chain = {f"r{number}.txt": f"-r r{number + 1}.txt\n" for number in range(60)}
    with pytest.raises(BuildFailed, match="include each other"):
        read({"requirements.txt": "-r r0.txt\n", **chain})
    assert read({"requirements.txt": "-r r0.txt\na\n", "r0.txt": "-r requirements.txt\nb\n"}).declared.lines == (
        "b",
        "a",
    )


@pytest.mark.parametrize("text", ["", " ", "\\t"])
def test_an_empty_requirement_is_told(read, text):
    """A list of dependencies with nothing in one of its places is the function's mistake, said in words."""
    with pytest.raises(BuildFailed, match=r"pyproject\.toml: an empty text is not a requirement"):
        read({"pyproject.toml": f'[project]\nname = "x"\ndependencies = ["{text}"]\n'})
