"""How memory goes back to the system."""

import mmap
import subprocess
import sys

from estimator_app.serving import memory

_MIB = 2**20


def test_system_allocator_is_chosen_unless_the_environment_says_otherwise():
    environment = {}
    memory.use_system_allocator(environment)
    assert environment == {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}
    chosen = {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "0"}
    memory.use_system_allocator(chosen)
    assert chosen == {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "0"}


def test_freed_pieces_go_back_to_the_system():
    # The first piece of each pair is freed; what stays keeps the C library from giving back by itself.
    program = (
        "import ctypes\n"
        "from estimator_app.serving import memory\n"
        "def resident():\n"
        "    return int(open('/proc/self/statm').read().split()[1])\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype = ctypes.c_void_p\n"
        "pieces = [libc.malloc(50_000) for _ in range(4_000)]\n"
        "for piece in pieces: ctypes.memset(ctypes.c_void_p(piece), 1, 50_000)\n"
        "for piece in pieces[:-1]: libc.free(ctypes.c_void_p(piece))\n"
        "before = resident()\n"
        "memory.give_back()\n"
        "print(before - resident())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * mmap.PAGESIZE > 100 * _MIB
