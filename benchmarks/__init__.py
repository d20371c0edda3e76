import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # read when gRPC is imported
