#!/bin/bash
# Prepares a SageMaker notebook instance, as root, in the background of each of its starts (regional_stack/notebook.yaml):
#   start.sh SYSTEM REGION INSTANCE IDLE_MINUTES
# Everything may be run again. Only /home/ec2-user/SageMaker outlasts a stop: the environment is installed there once,
# by the hashes of uv.lock, and the rest is set up anew. It logs to /var/log/dask-regions.log.
set -euo pipefail

system=$1 region=$2 instance=$3 idle_minutes=$4
here=$(cd "$(dirname "$0")" && pwd)
home=${NOTEBOOK_HOME:-/home/ec2-user}
units=${SYSTEMD_UNITS:-/etc/systemd/system}
digest=$(cat "$here"/requirements.txt "$here"/uv.txt "$here"/*.whl | sha256sum | cut -c1-12)
store=$home/SageMaker/.dask-regions
environment=$store/environment-$digest
as_user=(sudo -u ec2-user env "HOME=$home" "UV_PYTHON_INSTALL_DIR=$store/python" "UV_CACHE_DIR=$store/cache")

exec 9>"$here/lock"
flock --nonblock 9 || exit 0

# ---- The environment: Python and packages as the scheduler and the workers have them ----
install_environment() {
    "${as_user[@]}" mkdir -p "$store"
    [ ! -e "$environment/complete" ] || return 0
    # Of an earlier release, or of an installation that was interrupted.
    find "$store" -mindepth 1 -maxdepth 1 -name 'environment-*' -exec rm -rf {} +
    "${as_user[@]}" python3 -m venv "$environment/bootstrap"
    "${as_user[@]}" "$environment/bootstrap/bin/pip" install --quiet --require-hashes --requirement "$here/uv.txt"
    uv=("${as_user[@]}" "$environment/bootstrap/bin/uv" --quiet)
    "${uv[@]}" venv --python "$(cat "$here/python-version")" "$environment/venv"
    "${uv[@]}" pip install --python "$environment/venv" --require-hashes --requirement "$here/requirements.txt"
    "${uv[@]}" pip install --python "$environment/venv" --no-deps "$here"/*.whl
    "${as_user[@]}" rm -rf "$store/cache"
    "${as_user[@]}" touch "$environment/complete"
}

# ---- Addresses: published in SSM by the client stack, which may still be on its way ----
parameter() {
    local tries=60
    until aws ssm get-parameter --region "$region" --name "/dask-regions/$system/$1" --query Parameter.Value --output text; do
        [ $((tries -= 1)) -gt 0 ] || { echo "/dask-regions/$system/$1 is not there; deploy the client stack" >&2; return 1; }
        sleep "${RETRY_SECONDS:-30}"
    done
}

member() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

install_kernel() {
    local scheduler api
    scheduler=$(parameter scheduler) && api=$(parameter api)
    "${as_user[@]}" "$environment/venv/bin/python" -m ipykernel install --user --name dask-regions --display-name "Dask across Regions" \
        --env DASK_REGIONS_SCHEDULER "$(member address <<<"$scheduler")" \
        --env DASK_REGIONS_API "$api" \
        --env AWS_DEFAULT_REGION "$region" \
        --env DASK_DISTRIBUTED__DASHBOARD__LINK "https://$instance.notebook.$region.sagemaker.aws/proxy/8787/status"
    forward_dashboard "$(member dashboard_url <<<"$scheduler" | sed -E 's|^http://([^/]+)/.*|\1|')"
}

# ---- Dashboard: Jupyter's proxy shows ports of this machine only, so that one of them leads to the scheduler ----
forward_dashboard() {
    cat >"$units/dask-dashboard.socket" <<UNIT
[Socket]
ListenStream=127.0.0.1:8787
UNIT
    cat >"$units/dask-dashboard.service" <<UNIT
[Service]
ExecStart=/usr/lib/systemd/systemd-socket-proxyd $1
DynamicUser=yes
UNIT
    systemctl daemon-reload
    systemctl restart dask-dashboard.socket
}

# ---- Notebooks: a folder for each release, so that what somebody changed stays ----
copy_notebooks() {
    local folder
    folder=$home/SageMaker/notebooks-$(basename "$here"/*.whl | cut -d- -f2)-${digest:0:4}
    [ -e "$folder" ] || "${as_user[@]}" cp -R "$here/notebooks" "$folder"
}

# ---- Stop when nobody works: an instance costs while it runs ----
stop_when_idle() {
    cat >"$units/stop-when-idle.service" <<UNIT
[Service]
Type=oneshot
ExecStart=$environment/venv/bin/python $here/stop_when_idle.py $instance $region $idle_minutes
UNIT
    cat >"$units/stop-when-idle.timer" <<UNIT
[Timer]
OnActiveSec=5min
OnUnitActiveSec=5min
UNIT
    systemctl daemon-reload
    systemctl restart stop-when-idle.timer
}

install_environment
stop_when_idle
copy_notebooks
install_kernel
echo "ready: kernel dask-regions, environment $digest"
