"""Apache Spark: forms of the modules whose paths these files mirror (`Engine.twin`)."""
