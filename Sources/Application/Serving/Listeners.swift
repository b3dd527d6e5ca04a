import EventLoops
import Glibc
import HTTP

/// The process's listening sockets: one per loop on a shared port, or one unix socket whose connections are dealt out.
struct Listeners {
    let url: String
    private let descriptors: [Int32]
    private let isUnix: Bool

    init(_ configuration: Configuration, defaultPort: Int, count: Int) throws(Server.StartError) {
        do {
            if let path = configuration.socketPath {
                try Listeners.removeStale(path)
                descriptors = [try Listeners.listen(path, mode: configuration.socketMode)]
                isUnix = true
                url = "unix://\(path)"
                return
            }
            let host = configuration.host
            let wanted = configuration.port ?? defaultPort
            if wanted != 0 {
                // A shared port would let a second program listen beside us unseen: first prove that it is free.
                close(try Sockets.listen(.tcp(host: host, port: wanted), sharesPort: false))
            }
            var made = [try Sockets.listen(.tcp(host: host, port: wanted), sharesPort: true)]
            let port = Sockets.localPort(made[0]) ?? wanted
            while made.count < count { made.append(try Sockets.listen(.tcp(host: host, port: port), sharesPort: true)) }
            descriptors = made
            isUnix = false
            url = host.contains(":") ? "http://[\(host)]:\(port)" : "http://\(host):\(port)"
        } catch {
            let place = configuration.socketPath ?? "\(configuration.host):\(configuration.port ?? defaultPort)"
            throw Server.StartError(description: "cannot listen on \(place): \(error)", exitCode: .unavailable)
        }
    }

    /// Hands each loop its listener.
    func attach(to loops: [LoopBound<LoopServer>]) {
        if isUnix {
            let descriptor = descriptors[0]
            let others = loops.dropFirst().map { other -> @Sendable (Int32) -> Void in
                { connection in other.loop.send { other.value.http.adopt(connection) } }
            }
            loops[0].loop.send { loops[0].value.http.listen(descriptor, dealingTo: others) }
            return
        }
        for (loop, descriptor) in zip(loops, descriptors) {
            loop.loop.send { loop.value.http.listen(descriptor) }
        }
    }

    /// The process's own mask makes the file for its owner alone; who else may connect is said before we listen to anybody.
    private static func listen(_ path: String, mode: Int) throws(Sockets.Failure) -> Int32 {
        let descriptor = try Sockets.listen(.unix(path: path), sharesPort: false)
        guard chmod(path, mode_t(mode)) == 0 else {
            let failure = Sockets.Failure(call: "chmod", code: errno)
            close(descriptor)
            unlink(path)
            throw failure
        }
        return descriptor
    }

    /// Removes the socket of a process that is gone; one that answers is in use, and what is no socket is not ours.
    private static func removeStale(_ path: String) throws(Sockets.Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw Sockets.Failure(call: "bind", code: EADDRINUSE) }
        if let descriptor = try? Sockets.connect(.unix(path: path)) {
            close(descriptor)
            throw Sockets.Failure(call: "bind", code: EADDRINUSE)
        }
        unlink(path)
    }
}
