import socket,sys
def raw(b,port=22100,n=400):
    s=socket.create_connection(("127.0.0.1",port),3); s.settimeout(2); s.sendall(b); out=b""
    try:
        while True:
            d=s.recv(4096)
            if not d: out+=b"<EOF>"; break
            out+=d
    except Exception as e: out+=repr(e).encode()
    return out[:n].decode('latin1').replace("\r\n"," | ")
P="/lean.aggregator.v1.AggregatorService/GetServerInfo"
for n,b in {
 "connect":"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
 "connect local":"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
 "two hosts":f"POST {P} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}",
 "no host 1.1":f"POST {P} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}",
 "tls hello":"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
 "garbage":"hello\r\n\r\n",
 "h09":"GET /\r\n\r\n",
 "h2c upgrade":f"POST {P} HTTP/1.1\r\nHost: evil.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}",
 "expect":f"POST {P} HTTP/1.1\r\nHost: evil.example\r\nExpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n",
 "expect weird":f"POST {P} HTTP/1.1\r\nHost: evil.example\r\nExpect: foo\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n",
}.items():
    print(f"{n:15} {raw(b.encode('latin1'))}")
