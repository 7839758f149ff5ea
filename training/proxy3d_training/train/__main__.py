"""``python -m proxy3d_training.train CONFIG``: what ``accelerate launch`` starts in each process."""

from proxy3d_training.train.command import train

if __name__ == "__main__":
    train()
