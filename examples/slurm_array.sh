#!/usr/bin/env bash
# A Slurm array over the synthetic images, and what follows it:
#
#   array=$(sbatch --parsable --array=1-100 slurm_array.sh real/ fake/ parts/)
#   sbatch --dependency=afterok:"$array" --wrap='fingerprint merge parts/* --out ranking.csv --report ranking.html'
#
# Each task compares all real images with its part of the synthetic files. A task that Slurm stops and starts again goes
# on where it was. Tasks share nothing but the files that they read; the last step needs the real images and parts/.
#SBATCH --job-name=fingerprint
#SBATCH --cpus-per-task=8
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --requeue
set -euo pipefail
real=$1 fake=$2 parts=$3
mkdir -p "$parts"
fingerprint summarise "$real" "$fake" \
    --part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
    --threads "$SLURM_CPUS_PER_TASK" \
    --out "$parts/$SLURM_ARRAY_TASK_ID"
