import Bytes
import Digests
import JSON

/// A digest of a job's type and config that does not depend on the order of members.
enum ConfigDigest {
    static func of(type: String, config: String) -> String {
        let text = ByteBuffer()
        text.append(type)
        text.append("\n")
        if let value = try? config.withByteView({ view throws(JSONError) in try JSONValue(parsing: view) }) {
            canonical(value).write(to: text)
        }
        let digest = ByteBuffer(capacity: 64)
        SHA256.hash(text.view).withByteView { digest.append(hex: $0.slice(0, 16)) }
        return digest.view.string
    }

    private static func canonical(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): .array(elements.map(canonical))
        case .object(let members):
            .object(
                members.map { .init($0.key, canonical($0.value)) }.sorted {
                    $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
                })
        default: value
        }
    }
}
