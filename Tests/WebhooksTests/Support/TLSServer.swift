import Glibc
import TestSupport

/// A certificate of its own for a name, and its key: files.
struct TestCertificate {
    let certificate: String
    let key: String

    init(name: String, in folder: String) throws {
        certificate = folder + "/certificate.pem"
        key = folder + "/key.pem"
        let made = try ChildProcess(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days",
                "2", "-subj", "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name)", "-keyout", key, "-out",
                certificate,
            ], output: folder + "/openssl.log")
        guard made.wait() == 0 else { throw SetUpFailure("openssl makes no certificate; see deploy/test") }
    }
}

/// An HTTPS server with a certificate that nobody has signed but itself.
final class TLSServer {
    let port: Int
    let certificate: String
    private let folder: TemporaryFolder
    private let process: ChildProcess

    init(name: String) throws {
        folder = try TemporaryFolder()
        let files = try TestCertificate(name: name, in: folder.path)
        certificate = files.certificate
        let port = try freePort()
        self.port = port
        process = try ChildProcess(
            [
                "openssl", "s_server", "-accept", "127.0.0.1:\(port)", "-www", "-cert", files.certificate, "-key",
                files.key,
            ],
            output: folder.path + "/server.log")
        guard blockingUntil({ isListening }) else { throw SetUpFailure("openssl s_server does not start") }
    }

    private var isListening: Bool {
        guard let socket = try? BlockingSocket(.tcp(host: "127.0.0.1", port: port)) else { return false }
        return (try? socket.send([22])) != nil
    }
}
