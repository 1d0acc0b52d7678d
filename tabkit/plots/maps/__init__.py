"""Maps: of categories, of rows, of places on the earth."""
