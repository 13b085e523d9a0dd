#!/usr/bin/env bash
# For clusters without submitit. Each task of the array calls the same `repro` command, and they share its runs. From the
# repository, in a folder that all nodes share:
#
#     sbatch sweeps/slurm_array.sh reproduce fig2 --profile paper --jobs 1
#     sbatch --array=0-63 --partition=gpu sweeps/slurm_array.sh sweep store_recall_threshold
#
# A task that had to stop (its time is over, or others need the node) leaves with status 75, and is requeued. Finished
# runs are read, interrupted ones resume from their checkpoint. A password of a storage: put its URL into REPRO_STORAGE.
#SBATCH --job-name=repro
#SBATCH --array=0-15
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%x-%A_%a.out
set -uo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
: "${1:?usage: sbatch sweeps/slurm_array.sh COMMAND ..., such as sweep store_recall_threshold}"
trap : TERM USR1 # they reach repro, too; this script waits for its status
# Since Slurm 22.05 srun does not take the cores of a task from sbatch.
srun --open-mode=append --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" .venv/bin/repro "$@"
status=$?
task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID # SLURM_JOB_ID of one task is the number of the whole array
# Only a task that still runs asks for another turn: one that the user has cancelled stays cancelled.
if [ $status -eq 75 ] && [ "$(squeue --noheader --format=%T --jobs="$task")" = RUNNING ]; then
    scontrol requeue "$task"
fi
exit $status
