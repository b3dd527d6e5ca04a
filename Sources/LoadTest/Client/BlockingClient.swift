import Bytes
import EventLoops
import Glibc
import JSON

/// One request at a time, each on a connection of its own, for what is done before the clock starts.
struct BlockingClient {
    struct Answer {
        let status: Int
        let body: String

        var json: JSONValue? { body.withByteView { try? JSONValue(parsing: $0) } }
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private static let timeoutUs: Int64 = 10_000_000

    let target: Target
    let token: String?

    func call(_ method: StaticString, _ path: String, json: String? = nil) throws -> Answer {
        var common = "Host: \(target.host)\r\nConnection: close\r\n"
        if let token { common += "Authorization: Bearer \(token)\r\n" }
        var request = RequestSet()
        if let json {
            json.withByteView { request.add(method, path, common, json: $0) }
        } else {
            request.add(method, path, common)
        }
        let descriptor = try Sockets.connect(target.address)
        defer { close(descriptor) }
        let deadlineUs = MonotonicClock.nowUs() + BlockingClient.timeoutUs
        try wait(descriptor, POLLOUT, deadlineUs)
        let error = Sockets.connectError(descriptor)
        guard error == 0 else { throw Failure(description: "connect: " + String(cString: strerror(error))) }
        var rest = request.view(0)
        while !rest.isEmpty {
            let written = write(descriptor, rest.base, rest.count)
            if written > 0 { rest = rest.dropFirst(written) } else { try wait(descriptor, POLLOUT, deadlineUs) }
        }
        return try receive(descriptor, deadlineUs)
    }

    private func receive(_ descriptor: Int32, _ deadlineUs: Int64) throws -> Answer {
        let received = ByteBuffer()
        var parser = ResponseParser()
        while true {
            try wait(descriptor, POLLIN, deadlineUs)
            let count = read(descriptor, received.reserve(65536), 65536)
            if count == 0 { throw Failure(description: "the server closed the connection without an answer") }
            guard count > 0 else { continue }
            received.didAppend(count)
            switch parser.parse(received.view) {
            case .incomplete: continue
            case .invalid(let what): throw Failure(description: "the server sent " + what)
            case .response(let response):
                let body = received.view.slice(response.body.lowerBound, response.body.upperBound)
                return Answer(status: response.status, body: body.string)
            }
        }
    }

    private func wait(_ descriptor: Int32, _ events: Int32, _ deadlineUs: Int64) throws {
        let leftMs = (deadlineUs - MonotonicClock.nowUs()) / 1000
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        guard leftMs > 0, poll(&entry, 1, Int32(leftMs)) > 0 else { throw Failure(description: "no answer in time") }
    }
}
