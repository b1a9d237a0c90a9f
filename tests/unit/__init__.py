"""Single modules, good and bad input, with fakes rather than mocks."""
