import Bytes
import Digests
import Glibc
import Services

/// Secrets that jobs name and never hold: a file of lines `name secret`, `#` comments. What is kept in Redis, logged and
/// shown is the name.
struct NamedSecrets {
    private var keys: [String: [UInt8]] = [:]
    /// Whether there is a file.
    let isConfigured: Bool

    static let leastBytes = 16

    /// Reads the file of the setting `webhook-secrets`, if it is set.
    init(setting path: String?) throws(Problem) {
        isConfigured = path != nil
        guard let path else { return }
        guard let bytes = NamedSecrets.read(path) else { throw NamedSecrets.wrong("cannot be read: \(path)") }
        // By \.isNewline, since a line end of Windows is one character of its own.
        let lines = String(decoding: bytes, as: UTF8.self)
            .split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard let name = words.first, !name.hasPrefix("#") else { continue }
            guard words.count == 2, words[1].utf8.count >= NamedSecrets.leastBytes else {
                throw NamedSecrets.wrong(
                    "line \(index + 1): expected `name secret`, the secret of at least \(NamedSecrets.leastBytes) bytes"
                )
            }
            guard keys.updateValue(Array(words[1].utf8), forKey: String(name)) == nil else {
                throw NamedSecrets.wrong("line \(index + 1): the name \(name) occurs twice")
            }
        }
    }

    /// Whether a job may name it: where there is no file, it may be that only the workers have one.
    func mayKnow(_ name: String) -> Bool { !isConfigured || keys[name] != nil }

    /// The HMAC-SHA256 of `message` in hex; nil when no secret has the name.
    func signature(of message: ByteView, with name: String) -> String? {
        guard let key = keys[name] else { return nil }
        let code = key.withByteView { HMACSHA256.code(of: message, key: $0) }
        let text = ByteBuffer()
        code.withByteView { text.append(hex: $0) }
        return text.view.string
    }

    private static func wrong(_ detail: String) -> Problem { .field("webhook-secrets", detail) }

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { return bytes }
            bytes += chunk.prefix(count)
        }
    }
}
