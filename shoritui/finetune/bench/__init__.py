"""`shoritui finetune bench`: the training step on this machine, beside transformers and PEFT."""
