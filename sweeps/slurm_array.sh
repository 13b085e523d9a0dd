#!/usr/bin/env bash
# Each task of the array is one worker of the same study. From the repository, in a folder that all nodes share:
#
#     sbatch sweeps/slurm_array.sh store_recall_threshold            # the queue is a journal in results/studies
#     sbatch --array=0-63 sweeps/slurm_array.sh NAME URL             # more workers; any Optuna storage
#
# Submit it again, or some more of it, at any time: finished runs are read, interrupted ones resume from a checkpoint.
#SBATCH --job-name=repro-sweep
#SBATCH --array=0-15
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=02:00:00
#SBATCH --signal=B:TERM@60
#SBATCH --output=slurm-%x-%A_%a.out
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
study=${1:?usage: sbatch sweeps/slurm_array.sh STUDY [STORAGE]}
# exec: the signal above then reaches the sweep itself, which leaves its run to another worker before time is up.
exec .venv/bin/repro sweep "$study" --workers 1 ${2:+--storage "$2"}
