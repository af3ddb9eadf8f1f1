"""Run commands of medloupe in processes of their own: bounded, heard of while they run, gone with who started them."""
