"""Runs a program and kills it with SIGKILL just before the Nth system call that changes something on disk.

    python3 step.py N PROGRAM ARGUMENT...

Standard error says `killed before CALL`, or `ended CODE` when there were fewer such calls. Threads count,
children do not. Linux on x86-64 and AArch64.
"""
import ctypes
import os
import platform
import signal
import sys

TRACEME, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
# Stops of system calls are marked; threads are followed; all die with this program.
OPTIONS = 0x1 | 0x8 | 0x100000
ENTRY = 1
CALLS = {
    "x86_64": {
        1: "write", 18: "pwrite64", 20: "writev", 2: "open", 257: "openat", 82: "rename", 264: "renameat",
        316: "renameat2", 86: "link", 265: "linkat", 87: "unlink", 263: "unlinkat", 83: "mkdir", 258: "mkdirat",
        84: "rmdir", 74: "fsync", 75: "fdatasync", 77: "ftruncate", 90: "chmod", 91: "fchmod", 268: "fchmodat",
        93: "fchown", 260: "fchownat", 133: "mknod", 259: "mknodat", 326: "copy_file_range", 40: "sendfile",
        56: "clone", 435: "clone3", 231: "exit_group",
    },
    "aarch64": {
        64: "write", 68: "pwrite64", 66: "writev", 56: "openat", 38: "renameat", 276: "renameat2", 37: "linkat",
        35: "unlinkat", 34: "mkdirat", 82: "fsync", 83: "fdatasync", 46: "ftruncate", 52: "fchmod",
        53: "fchmodat", 55: "fchown", 54: "fchownat", 33: "mknodat", 285: "copy_file_range", 71: "sendfile",
        220: "clone", 435: "clone3", 94: "exit_group",
    },
}[platform.machine()]

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, address=None, data=None):
    if libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def call(pid):
    """The name of the call that begins, or None."""
    info = ctypes.create_string_buffer(88)
    ptrace(GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info))
    if info.raw[0] != ENTRY:
        return None
    number = int.from_bytes(info.raw[24:32], sys.byteorder)
    name = CALLS.get(number)
    if name in ("open", "openat"):
        flags = int.from_bytes(info.raw[40:48] if name == "open" else info.raw[48:56], sys.byteorder)
        if not flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            return None
    if name in ("write", "writev") and int.from_bytes(info.raw[32:40], sys.byteorder) in (1, 2):
        return None
    return name


def main():
    left, program = int(sys.argv[1]), sys.argv[2:]
    child = os.fork()
    if child == 0:
        ptrace(TRACEME, 0)
        os.execv(program[0], program)
    os.waitpid(child, 0)
    ptrace(SETOPTIONS, child, None, OPTIONS)
    ptrace(SYSCALL, child)
    while True:
        pid, status = os.waitpid(-1, 0x40000000)
        if not os.WIFSTOPPED(status):
            if pid == child:
                print("ended", os.waitstatus_to_exitcode(status), file=sys.stderr)
                return
            continue
        number = os.WSTOPSIG(status)
        if number == signal.SIGTRAP | 0x80:
            name = call(pid)
            left -= name is not None
            if name is not None and left == 0:
                os.kill(child, signal.SIGKILL)
                while os.waitpid(-1, 0x40000000)[0] != child:
                    pass
                print("killed before", name, file=sys.stderr)
                return
            number = 0
        elif number in (signal.SIGTRAP, signal.SIGSTOP):
            number = 0
        try:
            ptrace(SYSCALL, pid, None, number)
        except OSError:
            pass


main()
