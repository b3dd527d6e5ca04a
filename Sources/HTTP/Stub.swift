import Bytes
import EventLoops

public final class EventStream {
    public init(_ s: ResponseStream) {}; public var onClose: (() -> Void)?;
    public func event(id: String, name: String, data: String) {}
}
public struct HTTPResponse { public var status = 0; public var body: [UInt8] = [] }
public final class HTTPClient {
    public init(loop: EventLoop, address: Sockets.Address, host: String) {};
    public func send(_ m: HTTPMethod, _ t: String, headers: [(String, String)], body: [UInt8]?, timeoutUs: Int64)
        async throws -> HTTPResponse
    { HTTPResponse() }; public func close() {}
}
