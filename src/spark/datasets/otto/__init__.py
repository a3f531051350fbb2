"""Raw files of OTTO and the demo on Spark."""
