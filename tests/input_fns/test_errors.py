from input_fns import errors


def test_a_bad_row_keeps_its_parts_and_shortens_what_it_shows() -> None:
    error = errors.BadRowError("f.csv", 3, "", "x" * 5000, "2 columns")
    assert (error.path, error.row, error.column, len(error.value)) == ("f.csv", 3, "", 5000)
    assert str(error).startswith("f.csv, row 3: expected 2 columns, found 'xxx")
    assert len(str(error)) < 500


def test_every_error_is_a_mistake_of_the_input() -> None:
    for kind in (errors.SettingsError, errors.SchemaError, errors.FileError, errors.BadRowError):
        assert issubclass(kind, errors.InputError)
