// Smooth edges without a graphics card. There they cost more than all else of a picture, so a picture that changes has
// none, and one that stays is drawn once more, with them.

import * as THREE from "three";

const REST = 200; // milliseconds after which a picture stays

let processor = null; // asked once a page

// Whether the processor draws.
export function drawnByProcessor() {
  if (processor !== null) return processor;
  const pen = document.createElement("canvas").getContext("webgl2");
  const named = pen?.getExtension("WEBGL_debug_renderer_info");
  const by = pen?.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : pen.RENDERER) ?? "";
  processor = /swiftshader|llvmpipe|softpipe|software|basic render/i.test(by);
  return processor;
}

export class Smoothing {
  // `busy` says whether a picture is about to change.
  constructor(renderer, busy) {
    this.renderer = renderer;
    this.busy = busy;
    this.drawn = 0; // pictures so far, for tests
    this.target = new THREE.WebGLRenderTarget(1, 1, { samples: 4 });
    const material = new THREE.ShaderMaterial({
      uniforms: { picture: { value: this.target.texture } },
      vertexShader: "varying vec2 place; void main() { place = uv; gl_Position = vec4(position.xy, 0.0, 1.0); }",
      fragmentShader: "uniform sampler2D picture; varying vec2 place; void main() { gl_FragColor = texture2D(picture, place); }",
      blending: THREE.NoBlending, depthTest: false, depthWrite: false,
    });
    const sheet = new THREE.Mesh(new THREE.PlaneGeometry(2, 2), material);
    sheet.frustumCulled = false;
    this.sheet = new THREE.Scene().add(sheet);
  }

  // Draw a scene smoothly once nothing has changed for a while.
  soon(scene, camera) {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => (this.busy() ? this.soon(scene, camera) : this.render(scene, camera)), REST);
  }

  render(scene, camera) {
    const { renderer, target } = this;
    const { x, y } = renderer.getDrawingBufferSize(new THREE.Vector2());
    target.setSize(x, y);
    renderer.setRenderTarget(target);
    renderer.render(scene, camera);
    renderer.setRenderTarget(null);
    renderer.render(this.sheet, camera);
    this.drawn += 1;
  }
}
