"""LETOR: query-document lists with grades, in SVMlight text."""
