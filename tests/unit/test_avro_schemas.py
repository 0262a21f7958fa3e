"""Are the schemas found wherever the package lies, and chosen as asked?"""

import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import UUID
from zipfile import Path as ZipPath
from zipfile import ZipFile

import pytest

from processor.adapters.avro import AvroCodec, load, schemas_folder
from processor.domain.errors import ConfigurationError
from processor.domain.events import ErrorDetail, Failed, Reason
from processor.domain.ids import JobId
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.status import Live
from processor.domain.submission import SubmissionRecord
from processor.ports.codec import Codec, Undecodable

ROOT = Path(__file__).parents[2]
JOB = JobId(UUID(int=7))


def marks(folder: Path) -> set[bytes]:
    versions = load(folder).records.values()
    return {schema.mark for of_record in versions for schema in of_record}


def test_in_a_checkout_the_schemas_lie_beside_the_package() -> None:
    assert schemas_folder() == ROOT / "schemas"


def test_in_a_wheel_the_schemas_lie_inside_the_package(tmp_path: Path) -> None:
    package = tmp_path / "processor"
    shutil.copytree(ROOT / "schemas", package / "schemas")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "Submission.1.avsc").write_text("somebody else's")
    assert schemas_folder(package) == package / "schemas"
    assert marks(package / "schemas") == marks(ROOT / "schemas")


def test_the_schemas_are_found_in_a_wheel_that_was_not_unpacked(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "job_processor.whl", "w") as wheel:
        for file in (ROOT / "schemas").iterdir():
            wheel.write(file, f"processor/schemas/{file.name}")
    packed = ZipPath(tmp_path / "job_processor.whl", "processor/")
    assert load(schemas_folder(packed)).records.keys() == load().records.keys()


def test_somebody_elses_folder_called_schemas_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "processor").mkdir()
    (tmp_path / "schemas").mkdir()
    with pytest.raises(ConfigurationError, match="install it again"):
        schemas_folder(tmp_path / "processor")


def test_the_folder_holds_data_and_its_rules_only() -> None:
    others = [path.name for path in (ROOT / "schemas").iterdir() if path.suffix != ".avsc"]
    assert others == ["README.md"]


def test_every_schema_is_in_the_namespace_and_has_the_name_of_its_file() -> None:
    for record, versions in load().records.items():
        assert [schema.parsed["name"] for schema in versions] == [f"jobs.{record}"] * len(versions)
        assert [schema.version for schema in versions] == list(range(1, len(versions) + 1))


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"Submission": 99}, "Submission has no version 99; it has 1"),
        ({"Submision": 1}, "'Submision' is no record; the records are BreakerChanged, Cancelled"),
    ],
)
def test_a_version_to_be_written_that_does_not_exist_is_one_clear_line(
    written: dict[str, int], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        AvroCodec(written)


def submission(**changed: object) -> SubmissionRecord:
    fields: dict[str, object] = {
        "job": JOB,
        "type": "flight.landed",
        "payload": b"{}",
        "entity": "N14228",
        "priority": Priority.NORMAL,
        "submitted_at": 1_357_034_400_123_456,
    }
    make: Callable[..., SubmissionRecord] = SubmissionRecord
    return make(**{**fields, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "a\0b"},
        {"entity": "a\0b"},
        {"tenant": "a\0b"},
        {"dedupe_key": "a\0b"},
        {"type": "n" * 256},
        {"entity": "ü" * 128},
        {"generation": 0},
        {"generation": 32_768},
        {"priority": 4},
        {"submitted_at": -1},
        {"not_before": 2**62},
        {"attempts": 0},
    ],
    ids=str,
)
def test_a_submission_that_no_table_could_hold_is_undecodable(changed: dict[str, object]) -> None:
    codec: Codec = AvroCodec()
    foreign = codec.encode_submission(submission(**changed))
    with pytest.raises(Undecodable):
        codec.decode_submission(foreign)


def test_a_record_of_another_kind_says_what_it_is() -> None:
    codec = AvroCodec()
    value = codec.encode_submission(submission())
    with pytest.raises(Undecodable, match="marked Submission, not Outcome"):
        codec.decode_journal(value)


def test_an_error_that_holds_no_text_is_still_recorded() -> None:
    error = ErrorDetail(Reason.HANDLER_FAILED, "OSError", "no file \udcff", "x:y:1", ("\ud800",))
    failed = Failed(1, 1, error.reason, error)
    outcome = Outcome(JOB, 1, 1, "t", "e", None, Priority.LOW, 0, 0, (failed,))
    codec = AvroCodec()
    read = codec.decode_journal(codec.encode_outcome(outcome))
    assert not isinstance(read, Live)
    (event,) = read.events
    assert isinstance(event, Failed)
    assert event.error.message == "no file \\udcff"
    assert event.error.fields == ("\\ud800",)
