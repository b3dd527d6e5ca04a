import Bytes
import Digests
import Glibc
import JSON
import TestSupport
import Testing

@testable import Services

/// One after the other: each starts servers and some wait for what happens every few seconds.
@Suite(.serialized) struct Security {}

/// A line of a tokens file.
func tokenLine(_ name: String, _ role: String, _ token: String, _ rate: String = "") -> String {
    let digest = ByteBuffer()
    token.withByteView { SHA256.hash($0) }.withByteView { digest.append(hex: $0) }
    return "\(name) \(role) \(digest.view.string) \(rate)\n"
}

func bearer(_ token: String) -> [(String, String)] { [("Authorization", "Bearer \(token)")] }

/// Replaces a file whole, as is done with what others read.
func replaceFile(_ path: String, _ text: String) throws {
    guard let file = fopen(path + ".new", "w") else { throw SetUpFailure("cannot write \(path)") }
    fputs(text, file)
    fclose(file)
    guard rename(path + ".new", path) == 0 else { throw SetUpFailure("cannot write \(path)") }
}

extension JSONValue {
    var string: String? { if case .string(let text) = self { text } else { nil } }
    var int: Int? { if case .int(let number) = self { number } else { nil } }
    var elements: [JSONValue] { if case .array(let elements) = self { elements } else { [] } }
}
