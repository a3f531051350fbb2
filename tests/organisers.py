"""Tables of test_evaluate.py of OTTO's organisers (github.com/otto-de/recsys-dataset).

k = 3, session 4 without a prediction, an empty label where a session has none.
"""

PREDICTED = {
    "clicks": {1: [1, 2, 3], 2: [1000003, 2, 3], 3: [1, 2, 3]},
    "carts": {1: [1, 2, 3], 2: [1000004, 2, 3, 1000007], 3: [1000007, 1000004, 3]},
    "orders": {1: [1, 32, 33], 2: [1, 2, 3], 3: [1, 2, 3]},
}
CARTS = [1000000, 1000004, 1000007]
LABELS = {
    "clicks": {2: [1000003], 3: [1000003], 4: [1000003]},
    "carts": {2: CARTS, 3: CARTS, 4: CARTS},
    "orders": {1: [0, 1, 2, 3, 4, 5, 16, 17, 18, 19, 20], 2: [1000000, 1000004]},
}
