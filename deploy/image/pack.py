"""Writes an image as a tar that is both an OCI layout (index.json) and a docker archive (manifest.json).

The two share their blobs. Formats: OCI image-spec 1.1 (layout, index, manifest, config) and the manifest.json of
`docker save`. The image holds the given programs in `/`, a passwd file with its one user, and nothing else.
"""

import argparse
import hashlib
import io
import json
import os
import struct
import tarfile

USER = 65532
# e_machine of the ELF header, and what images call the architecture.
ARCHITECTURES = {62: "amd64", 183: "arm64"}


def entry(name, size=0, mode=0o644, kind=tarfile.REGTYPE):
    """A tar entry without time and owner, so that equal content gives equal bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.type, info.mtime = size, mode, kind, 0
    return info


def tar(files):
    """An uncompressed tar of (name, mode, bytes); the folders come first."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        folders = {os.path.dirname(name) for name, _, _ in files} - {""}
        parents = {"/".join(f.split("/")[:n]) for f in folders for n in range(1, f.count("/") + 2)}
        for folder in sorted(parents):
            archive.addfile(entry(folder, mode=0o755, kind=tarfile.DIRTYPE))
        for name, mode, content in files:
            archive.addfile(entry(name, len(content), mode), io.BytesIO(content))
    return buffer.getvalue()


def architecture(program):
    header = program[:20]
    if header[:4] != b"\x7fELF":
        raise SystemExit("pack.py: not an ELF program")
    return ARCHITECTURES[struct.unpack("<H", header[18:20])[0]]


def compact(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def pack(name, version, programs):
    """The bytes of the image's tar; `programs` are (file name, bytes), the first one is the entry point."""
    passwd = f"root:x:0:0:root:/:/none\nseald:x:{USER}:{USER}:seald:/:/none\n".encode()
    group = f"root:x:0:\nseald:x:{USER}:\n".encode()
    files = [("etc/group", 0o644, group), ("etc/passwd", 0o644, passwd)]
    layer = tar(files + [(program, 0o755, content) for program, content in programs])
    machine = architecture(programs[0][1])
    config = compact({
        "architecture": machine,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": f"{USER}:{USER}",
            "Entrypoint": ["/" + programs[0][0]],
            "Env": ["PATH=/"],
            "WorkingDir": "/",
            "ExposedPorts": {"8080/tcp": {}, "8081/tcp": {}},
            "Labels": {"org.opencontainers.image.title": "seald", "org.opencontainers.image.version": version},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "deploy/image/build.sh"}],
    })

    def described(kind, content, **more):
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(content), "size": len(content), **more}

    manifest = compact({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", config),
        "layers": [described("layer.v1.tar", layer)],
    })
    # containerd takes the name from its own annotation, with the registry that a bare name stands for.
    full = name if "/" in name else f"docker.io/library/{name}"
    annotations = {"io.containerd.image.name": full, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}
    index = compact({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [described("manifest.v1+json", manifest, annotations=annotations,
                                platform={"architecture": machine, "os": "linux"})],
    })

    def blob(content):
        return "blobs/sha256/" + hashlib.sha256(content).hexdigest()

    docker = compact([{"Config": blob(config), "RepoTags": [name], "Layers": [blob(layer)]}])
    return tar([
        ("oci-layout", 0o644, compact({"imageLayoutVersion": "1.0.0"})),
        ("index.json", 0o644, index),
        ("manifest.json", 0o644, docker),
        *((blob(content), 0o644, content) for content in (config, layer, manifest)),
    ])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="NAME:TAG of the image")
    parser.add_argument("--version", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("programs", nargs="+", help="the first one is the entry point")
    options = parser.parse_args()
    if ":" not in options.name.rsplit("/", 1)[-1]:
        parser.error("--name needs a tag: NAME:TAG")
    programs = []
    for path in options.programs:
        with open(path, "rb") as file:
            programs.append((os.path.basename(path), file.read()))
    image = pack(options.name, options.version, programs)
    with open(options.output + ".new", "wb") as file:
        file.write(image)
    os.replace(options.output + ".new", options.output)
    print(f"{options.output}  {options.name}  {len(image) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
