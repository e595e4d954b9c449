"""A single-node Garage, an S3-compatible server, on loopback with one bucket and one key."""

import contextlib
import secrets
import shutil
import tempfile
from pathlib import Path

from .processes import Server, clean_environment, free_port, succeeds

REGION = "garage"
BUCKET = "gradus-tests"

CONFIG = """\
metadata_dir = "{folder}/meta"
data_dir = "{folder}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{rpc_secret}"

[s3_api]
s3_region = "{region}"
api_bind_addr = "127.0.0.1:{s3}"

[admin]
api_bind_addr = "127.0.0.1:{admin}"
"""


@contextlib.contextmanager
def node(garage, log_folder):
    """Runs Garage and yields the environment that tells the tests where the bucket is."""
    folder = Path(tempfile.mkdtemp(prefix="gradus-garage-"))
    try:
        s3 = free_port()
        config = folder / "garage.toml"
        config.write_text(
            CONFIG.format(
                folder=folder,
                rpc=free_port(),
                s3=s3,
                admin=free_port(),
                rpc_secret=secrets.token_hex(32),
                region=REGION,
            )
        )
        config.chmod(0o600)
        key, secret = "GK" + secrets.token_hex(12), secrets.token_hex(32)
        # Garage makes its layout, the key and the bucket itself when started like this.
        env = clean_environment(
            GARAGE_DEFAULT_ACCESS_KEY=key,
            GARAGE_DEFAULT_SECRET_KEY=secret,
            GARAGE_DEFAULT_BUCKET=BUCKET,
            RUST_LOG="garage=info",
        )
        command = [garage, "-c", config, "server", "--single-node", "--default-bucket"]
        with Server("garage", command, Path(log_folder) / "garage.log", env=env) as server:
            bucket_exists = [garage, "-c", config, "bucket", "info", BUCKET]
            server.wait_until(lambda: succeeds(bucket_exists), every=0.3)
            yield {
                "GRADUS_TEST_S3_ENDPOINT": f"http://127.0.0.1:{s3}",
                "GRADUS_TEST_S3_BUCKET": BUCKET,
                "GRADUS_TEST_S3_REGION": REGION,
                "GRADUS_TEST_S3_KEY": key,
                "GRADUS_TEST_S3_SECRET": secret,
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
