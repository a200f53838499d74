"""Reinforcement learning: environments on torch tensors, PPO of rsl-rl-lib, runs that survive being killed."""
