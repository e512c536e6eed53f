#!/bin/bash
# An array of 8 jobs, each of which plays one shard; submit it with `sbatch slurm.sh` in a folder that all nodes share.
#SBATCH --job-name=rdzv-campaign
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=01:00:00
#SBATCH --requeue
set -euo pipefail
mkdir -p shards
# Run directories lie on the node's own disk; a shared one makes ranks late.
exec rdzv-harness run scenarios --require torch --seed 7 \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
  --runs-dir "${TMPDIR:-/tmp}/rdzv-$SLURM_JOB_ID" \
  --json "shards/$SLURM_ARRAY_TASK_ID-${SLURM_RESTART_COUNT:-0}.json"
