import Bytes
import EventLoops

/// One server-sent event.
public struct ServerSentEvent: Sendable, Equatable {
    /// The last id that the stream has given, this event's or an earlier one's.
    public var id: String?
    public var name: String
    public var data: String

    public init(id: String? = nil, name: String, data: String) {
        self.id = id
        self.name = name
        self.data = data
    }
}

/// A subscription to server-sent events. Reads on only while its reader keeps up.
public final class EventSource {
    private static let maxWaiting = 256
    private static let maxLineBytes = 8 << 20
    private static let maxRefusalBytes = 65_536

    private let connection: ClientConnection
    private let text = ByteBuffer()
    private var events: [ServerSentEvent] = []
    private var lastID: String?
    private var name = ""
    private var data: [String] = []
    private var hasBegun = false
    /// The status of a response that is no stream of events, while its body comes.
    private var refusal: Int?
    private var outcome: Result<Void, HTTPClientError>?
    private var waiter: UnsafeContinuation<Void, Never>?
    var onEnd: (() -> Void)?

    init(_ connection: ClientConnection) { self.connection = connection }

    /// The next event; nil when the server has ended the stream. One reader at a time.
    public func next() async throws(HTTPClientError) -> ServerSentEvent? {
        while events.isEmpty {
            if let outcome {
                try outcome.get()
                return nil
            }
            connection.reads = true
            await wait()
        }
        return events.removeFirst()
    }

    /// Ends the subscription.
    public func close() { fail(.closed) }

    // MARK: For the client

    /// Waits for a good head.
    func begin() async throws(HTTPClientError) {
        while !hasBegun {
            try outcome?.get()
            await wait()
        }
    }

    func fail(_ error: HTTPClientError) { end(.failure(error)) }

    func receive(_ event: ClientConnection.Event) {
        switch event {
        case .head(let status, let fields):
            let type = fields.first { $0.name.lowercased() == "content-type" }?.value ?? "none"
            guard status == 200 else { return refusal = status }
            guard type.hasPrefix("text/event-stream") else {
                return fail(.malformed("status \(status), content type \(type)"))
            }
            hasBegun = true
            wake()
        case .data(let bytes):
            text.append(bytes)
            if let refusal {
                if text.count > EventSource.maxRefusalBytes { refuse(refusal) }
                return
            }
            while let end = text.view.firstIndex(of: 0x0A) {
                let line = text.view.slice(0, end > 0 && text.view[end - 1] == 0x0D ? end - 1 : end).string
                text.consume(end + 1)
                take(line)
            }
            if text.count > EventSource.maxLineBytes { return fail(.tooLarge) }
            if events.count > EventSource.maxWaiting { connection.reads = false }
        case .end: if let refusal { refuse(refusal) } else { end(.success(())) }
        case .failed(let error): fail(error)
        }
    }

    // MARK: Inside

    private func take(_ line: String) {
        if line.isEmpty {
            if !data.isEmpty {
                let name = name.isEmpty ? "message" : name
                events.append(ServerSentEvent(id: lastID, name: name, data: data.joined(separator: "\n")))
                wake()
            }
            name = ""
            data = []
            return
        }
        let colon = line.firstIndex(of: ":") ?? line.endIndex
        var value = line[colon...].dropFirst()
        if value.first == " " { value = value.dropFirst() }
        switch line[..<colon] {
        case "data": data.append(String(value))
        case "event": name = String(value)
        case "id": lastID = String(value)
        default: break
        }
    }

    private func refuse(_ status: Int) {
        fail(.refused(status: status, body: Array(text.view.buffer.prefix(EventSource.maxRefusalBytes))))
    }

    private func end(_ outcome: Result<Void, HTTPClientError>) {
        guard self.outcome == nil else { return }
        self.outcome = outcome
        connection.end()
        onEnd?()
        onEnd = nil
        wake()
    }

    private func wait() async {
        await withUnsafeContinuation { waiter = $0 }
    }

    private func wake() {
        let resumed = waiter
        waiter = nil
        resumed?.resume()
    }
}
