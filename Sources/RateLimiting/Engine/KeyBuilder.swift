import Bytes
import Services

/// Writes the Redis keys of a request: `<prefix>ratelimit:{<subject>}:<rule>:<generation>[:<part>…]`.
///
/// The subject is who the rule counts by; rules of the same subject share a slot.
struct KeyBuilder {
    private let start: [UInt8]

    /// - Parameter prefix: the configured key prefix.
    init(prefix: String) { start = [UInt8]((prefix + "ratelimit:{").utf8) }

    func append(_ rule: CompiledRule, _ request: CheckRequest, to keys: ByteBuffer) {
        keys.append(start)
        append(rule.subject, of: rule, request, isSubject: true, to: keys)
        keys.append("}")
        keys.append(rule.keySuffix)
        for part in rule.furtherParts {
            keys.append(UInt8(ascii: ":"))
            append(part, of: rule, request, isSubject: false, to: keys)
        }
    }

    private func append(
        _ part: Rule.KeyPart, of rule: CompiledRule, _ request: CheckRequest, isSubject: Bool, to keys: ByteBuffer
    ) {
        switch part {
        case .identifier:
            keys.append(request.identity.kind.label)
            keys.append(UInt8(ascii: ":"))
            KeyText.appendEscaped(request.identity.value, to: keys)
        case .ip:
            keys.append("ip:")
            let text = request.address?.clientText() ?? "unknown"
            text.withByteView { KeyText.appendEscaped($0, to: keys) }
        case .endpoint:
            if isSubject { keys.append("endpoint:") }
            KeyText.appendEscaped(rule.isExact ? request.endpoint.written : request.endpoint.folded, to: keys)
        case .method:
            if isSubject { keys.append("method:") }
            KeyText.appendEscaped(request.method, to: keys)
        case .tier:
            if isSubject { keys.append("tier:") }
            KeyText.appendEscaped(request.tier, to: keys)
        case .global: keys.append("global")
        }
    }
}
