"""Learning and unlearning with images that never leave their clients.

The learning code (`client`, `server`, `coordinator`) exchanges plain data and knows nothing of a network. Only `flower/`
speaks through Flower, which is installed with `pip install -r requirements-federated.txt`.
"""
