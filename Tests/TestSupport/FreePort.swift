import EventLoops
import Glibc

/// A port of the loopback that nobody listens on now, below the range from which the system gives ports to connections and
/// to servers that ask for any: so it stays free until it is listened on, also while a server is down for a moment. Until this
/// process ends no other call is given the same one, in this process or in another run of the tests.
public func freePort() throws -> Int {
    for _ in 0..<1000 {
        let port = Int.random(in: 10_000..<32_000)
        guard claim(port) else { continue }
        guard let descriptor = try? Sockets.listen(.tcp(host: "127.0.0.1", port: port), sharesPort: false) else {
            continue
        }
        close(descriptor)
        return port
    }
    throw SetUpFailure("no port of the loopback is free")
}

/// Notes in a file that a port is this process's. What a process that has ended noted does not count.
private func claim(_ port: Int) -> Bool {
    let path = "/tmp/qm-test-ports/\(port)"
    mkdir("/tmp/qm-test-ports", 0o777)
    for _ in 0..<2 {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        if file >= 0 {
            let note = String(getpid())
            _ = write(file, note, note.utf8.count)
            close(file)
            return true
        }
        guard let owner = noted(path), kill(owner, 0) != 0, errno == ESRCH else { return false }
        unlink(path)
    }
    return false
}

private func noted(_ path: String) -> pid_t? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = read(file, &bytes, bytes.count)
    return count > 0 ? pid_t(String(decoding: bytes[..<count], as: UTF8.self)) : nil
}
