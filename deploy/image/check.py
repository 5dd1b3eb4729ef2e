"""Checks the image that build.sh wrote, without any container runtime.

    python3 deploy/image/check.py target/image/seald-VERSION.tar

Layout and digests as OCI and as docker archive, user, entry point, that the programs are static and run in an otherwise
empty root folder as the image's user, and that packing them again gives the same bytes.
"""

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import tempfile

import pack


def fail(what):
    raise SystemExit(f"check.py: {what}")


def expect(claim, what):
    if not claim:
        fail(what)
    print(f"ok  {what}")


def read(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = tar.getmembers()
        content = {m.name: tar.extractfile(m).read() for m in members if m.isfile()}
    return members, content


def neutral(members):
    return all((m.mtime, m.uid, m.gid, m.uname, m.gname) == (0, 0, 0, "", "") for m in members)


def is_static(program):
    """No interpreter and no needed library in the ELF program headers (64 bit, little endian)."""
    offset, = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    for n in range(count):
        kind, _, start, _, _, length = struct.unpack_from("<IIQQQQ", program, offset + n * size)
        if kind == 3:  # PT_INTERP
            return False
        if kind == 2:  # PT_DYNAMIC; tag 1 is DT_NEEDED
            for at in range(start, start + length, 16):
                tag, = struct.unpack_from("<q", program, at)
                if tag == 1:
                    return False
    return True


def layout(outer, name):
    expect(json.loads(outer["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}, "it says that it is an OCI layout")
    for path, content in outer.items():
        if path.startswith("blobs/") and path != "blobs/sha256/" + hashlib.sha256(content).hexdigest():
            fail(f"{path} has another digest")
    print("ok  every blob has the digest that it is named after")

    def blob(described):
        content = outer["blobs/sha256/" + described["digest"].removeprefix("sha256:")]
        expect(len(content) == described["size"], f"{described['mediaType']} has the size that is told")
        return content

    described, = json.loads(outer["index.json"])["manifests"]
    expect(described["annotations"]["io.containerd.image.name"].endswith(name), f"containerd calls it {name}")
    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    layers = [blob(layer) for layer in manifest["layers"]]
    expect(config["rootfs"]["diff_ids"] == [pack.digest(layer) for layer in layers], "diff_ids are those of the layers")
    docker, = json.loads(outer["manifest.json"])
    expect(docker["RepoTags"] == [name], f"docker calls it {name}")
    expect(outer[docker["Config"]] == blob(manifest["config"]), "docker and OCI mean the same configuration")
    expect([outer[layer] for layer in docker["Layers"]] == layers, "docker and OCI mean the same layers")
    return config, layers


def runs(programs, folder):
    """Runs each program alone in a root folder, as the image's user; as a plain user by a user namespace."""
    for name, content in programs:
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o755)
        if os.geteuid() == 0:
            command = ["chroot", f"--userspec={pack.USER}:{pack.USER}", folder]
        else:
            command = ["unshare", "--user", "--map-root-user", "chroot", folder]
        done = subprocess.run([*command, "/" + name, "--version"], capture_output=True, text=True, timeout=30)
        said = (done.stdout + done.stderr).strip()
        expect(done.returncode == 0, f"/{name} --version runs where nothing else is: {said}")


def main():
    if len(sys.argv) != 2:
        fail("usage: check.py IMAGE.tar")
    with open(sys.argv[1], "rb") as file:
        archive = file.read()
    members, outer = read(archive)
    docker, = json.loads(outer["manifest.json"])
    name, = docker["RepoTags"]
    config, layers = layout(outer, name)
    settings = config["config"]
    expect(settings["User"] == "65532:65532", "it runs as user and group 65532")
    expect(settings["Entrypoint"] == ["/seald"], "its entry point is /seald")
    inner, files = read(layers[0])
    expect(neutral(members) and neutral(inner), "no times and no owners are in it")
    programs = [(n, files[n]) for n in ("seald", "sealctl")]
    expect(sorted(files) == ["etc/group", "etc/passwd", "sealctl", "seald"], "it holds the two programs and passwd")
    for program, content in programs:
        expect(is_static(content), f"/{program} is static")
    version = settings["Labels"]["org.opencontainers.image.version"]
    expect(pack.pack(name, version, programs) == archive, "packed again it has the same bytes")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        runs(programs, folder)


if __name__ == "__main__":
    main()
