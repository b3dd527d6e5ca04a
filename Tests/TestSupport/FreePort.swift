import EventLoops
import Glibc

/// A port of the loopback that nobody listens on now, below the range from which the system gives ports to connections and
/// to servers that ask for any: so it stays free until it is listened on, also while a server is down for a moment.
public func freePort() throws -> Int {
    for _ in 0..<1000 {
        let port = Int.random(in: 10_000..<32_000)
        guard let descriptor = try? Sockets.listen(.tcp(host: "127.0.0.1", port: port), sharesPort: false) else {
            continue
        }
        close(descriptor)
        return port
    }
    throw SetUpFailure("no port of the loopback is free")
}
