"""Networks of the field, written from their papers, through compiler and runtime."""
