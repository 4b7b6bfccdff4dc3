import torch

torch.set_num_threads(1)  # small networks run several times faster on one thread
