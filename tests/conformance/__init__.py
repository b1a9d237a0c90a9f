"""Other people's programs and formats agree with ours."""
